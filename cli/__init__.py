"""The command line, `agent …`: one module a subject, each thin over the layer that does the work."""
