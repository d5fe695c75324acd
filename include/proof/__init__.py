"""What reads everything and proves it: trace, verify, differences, replay."""
