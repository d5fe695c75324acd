"""Voices: sentences become audible speech with the times of every word.

`voice` says what a voice is, `espeak` is the offline one, `narration` places the sentences of a plan in its scenes.
"""
