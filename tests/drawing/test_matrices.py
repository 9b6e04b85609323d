import numpy as np

from tf_frcnn.drawing.matrices import draw_matrix

CELL = 44


def cells_of(image, count):
    """Returns the colour in the upper left corner of each cell, [count, count, 3]."""
    grid = image[-CELL * count :, -CELL * count :]
    return grid[3::CELL, 3::CELL].astype(int)


def test_the_shade_of_a_cell_is_its_share_of_the_row():
    matrix = np.array([[4, 0, 0], [1, 1, 2], [0, 0, 0]])
    cells = cells_of(draw_matrix(matrix, ["cat", "dog", "background"]), 3)
    assert (cells[0, 1] == 255).all() and (cells[2] == 255).all()
    hit, half = cells[0, 0], cells[1, 1]
    assert hit[2] > hit[0]  # blue, as what is right
    assert (hit < half).all() and (half < 255).all()
    assert cells[1, 0, 0] > cells[1, 0, 2]  # red, as what is wrong
    assert (cells[1, 2] < cells[1, 0]).all()


def test_names_stand_beside_the_rows_and_above_the_columns():
    matrix = np.zeros([2, 2], int)
    short = draw_matrix(matrix, ["a", "b"])
    image = draw_matrix(matrix, ["a name that is far too long", "b"])
    assert short.shape < image.shape and image.shape[0] == image.shape[1]
    margin = image.shape[0] - 2 * CELL
    assert (image[margin : margin + CELL, :margin] < 128).any()
    assert (image[:margin, margin : margin + CELL] < 128).any()
    assert (image[:margin, :margin] == 255).all()
