"""What tests are made with: doubles of ours, clocks, waits."""
