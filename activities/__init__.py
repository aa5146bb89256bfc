"""What a workflow has done for it: one class a duty, its clients injected by the worker."""
