"""What watches a run: Lightning callbacks that write checkpoints and pictures."""
