"""NYU40 ids of what the generator itself builds, as stored in the truth (0 is unlabelled)."""

WALL, FLOOR, CABINET, BED, CHAIR, SOFA, TABLE, DOOR, WINDOW, BOOKSHELF = range(1, 11)
PICTURE, COUNTER, BLINDS, DESK, SHELVES, CURTAIN, DRESSER, PILLOW, MIRROR, MAT = range(11, 21)
CLOTHES, CEILING, BOOKS, FRIDGE, TELEVISION, PAPER, TOWEL, SHOWER_CURTAIN, BOX, BOARD = range(
    21, 31
)
PERSON, NIGHTSTAND, TOILET, SINK, LAMP, BATH, BAG, STRUCTURE, FURNITURE, PROP = range(31, 41)
OWN_BODY = 41  # the robot itself, its mast or tripod: never in the files, see truth.py
