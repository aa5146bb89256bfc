"""What tests of every kind share: their clock, how they wait, and which of them need other processes."""
