"""What a secret in ENDPOINT_SECRETS may be called: the setting and who refers to it agree."""

from __future__ import annotations

import re

SECRET_NAME = re.compile(r"""[^\s:=;,"'\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}""")
SECRET_NAME_TOLD = "at most 200 characters, none of them a blank, a line break, a quote, or one of : = ; ,"
