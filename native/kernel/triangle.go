package kernel

// Triangle copies the upper or the lower triangle of each rows x columns matrix and sets the rest to zero. The diagonal, which both
// have, is moved so many columns to the right.
func Triangle[E any](y, x []E, rows, columns, diagonal int, upper bool) {
	clear(y)
	for r := 0; columns > 0 && r < len(y)/columns; r++ {
		at := r%rows + diagonal // the column of the diagonal
		left, right := 0, min(max(at+1, 0), columns)
		if upper {
			left, right = min(max(at, 0), columns), columns
		}
		copy(y[r*columns+left:r*columns+right], x[r*columns+left:r*columns+right])
	}
}
