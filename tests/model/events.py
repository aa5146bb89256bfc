"""What may happen to a conversation, by name: one list for the rules and for the table event × phase."""

from __future__ import annotations

from schemas.transitions import Event as Change
from tests.model.names import Name


class DrawnEvent(Name):
    MESSAGE = "message"
    YES = "yes"
    NO = "no"
    BURST = "burst"
    LATE_YES = "late yes"
    UNWOKEN = "unwoken message"
    AGAIN = "duplicate"
    BUTTON = "button"
    OLD_BUTTON = "old button"
    BUTTON_BESIDE = "button beside words"
    FILE = "file"
    EDITED = "edited"
    TAKEN_BACK = "taken back"
    LIMITED = "over the limit"
    MERGED = "customers are one"
    NEW_NUMBER = "a number changes hands"
    ACCOUNT_FULL = "account full"
    MINUTE_USED = "account's minute used up"
    FORGOTTEN = "threads forgotten"
    KILLED = "killed"
    ZOMBIE = "zombie"
    BREAKS = "connection breaks"
    STOPPED = "stopped"
    HANGS = "hangs"
    CONTINUES = "continues as new"
    SENT = "status sent"
    READ = "status read"
    FAILED = "status failed"
    FAILED_FOR_GOOD = "status failed for good"
    TAKE_OVER = "take-over"
    RELEASE = "release"
    STAFF_WRITES = "staff write"
    STAFF_AGAIN = "staff's words again"
    RESOLVED = "ticket resolved"
    CLOSE = "close"
    RESET = "reset"
    APPROVED = "staff approve"
    DECLINED = "staff decline"
    DECIDED_AGAIN = "staff decide again"
    CANCEL = "cancel"
    ERASE = "erase"
    CONFIGURED = "configured"
    SWEEP = "sweep"
    TIME = "time passes"


OF_ACTORS = frozenset({DrawnEvent.KILLED, DrawnEvent.ZOMBIE, DrawnEvent.BREAKS, DrawnEvent.STOPPED, DrawnEvent.HANGS})
"""These happen to somebody who is at work."""

CHANGES = {DrawnEvent.TAKE_OVER: Change.TAKEN, DrawnEvent.RELEASE: Change.RELEASED, DrawnEvent.CLOSE: Change.CLOSED}
REPORTS: dict[DrawnEvent, tuple[str, int | None]] = {
    DrawnEvent.SENT: ("sent", None),
    DrawnEvent.READ: ("read", None),
    DrawnEvent.FAILED: ("failed", 131000),
    DrawnEvent.FAILED_FOR_GOOD: ("failed", 131026),
}
