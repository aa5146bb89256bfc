"""Pages for people: the playground for newcomers. Server-rendered, no build, nothing from elsewhere."""
