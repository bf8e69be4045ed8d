"""An experiment: its file, its data, its cells and the folder that keeps them."""
