"""The way in: `agent` starts here, under a name that no neighbour's module has."""
