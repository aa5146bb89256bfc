"""The worker process: runs workflows and activities. A composition root, like `api/`."""
