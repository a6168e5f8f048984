"""The conditions of a study: what is done to the tokens while the audio stays the same.

A condition turns the true tokens of the evaluated utterances into the tokens that prompts show.
Those that draw the same random numbers are nested: a larger ``p`` replaces what a smaller one does
and more, ``replaced(p)`` and ``masked(p)`` the same tokens as ``corrupted(p)``, and ``flip`` shows
the opposites that ``conflicting`` does.

A token that could not be measured is ``unknown``. What becomes of it:

=================================== ==========================================================
aligned, only, without              shown as it is
shuffled (all three),               shown as part of the tokens of the utterance that it is of,
counter_emotion                     since whole utterances are exchanged
conflicting, flip                   stays: it has no opposite
corrupted(p), replaced(p)           replaced, with probability p, by any word of its concept
masked(p)                           stays
constant                            becomes the middle word, so that the block tells nothing
=================================== ==========================================================
"""
