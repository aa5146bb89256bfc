"""Services an administrator has named, which the action `api_call` may reach: one port, one adapter, one double."""
