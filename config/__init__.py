"""What every process shares before it does any work: settings, logs, metrics."""
