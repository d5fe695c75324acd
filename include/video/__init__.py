"""The video family: trends in, a reviewed short video out."""
