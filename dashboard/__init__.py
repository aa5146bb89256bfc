"""Pages for people: the playground for newcomers, the dashboard for those who run it. No build step."""
