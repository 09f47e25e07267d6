"""The RPCs: two plain functions each, `prepare` and `reply`. They import no transport."""
