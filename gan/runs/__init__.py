"""The folders of training runs: which is the newest, what one was started with, and who may write to it."""
