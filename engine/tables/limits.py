"""How large a table may be. A file beyond these is refused before it fills the memory of a worker."""

MAX_COLUMNS = 10_000
MAX_CELLS = 200_000_000  # 1.6 GB as float64
MAX_HEADING = 500  # characters

MAX_UNPACKED_BYTES = 1 << 30  # all members of an XLSX file together, about 25 million cells
MAX_RATIO = 200  # unpacked / packed of one member; sheets reach 10 to 100, bombs 1000
RATIO_FREE_BYTES = 16 << 20  # members that unpack to less than this may have any ratio
MAX_MEMBERS = 10_000

MAX_SHEET_CELLS = 50_000_000  # in the rectangle around the cells of a sheet; 1.6 GB in the reader
SPARSE_FREE_CELLS = 1_000_000  # a rectangle up to this size may be empty
MIN_SHEET_FILL = 0.02  # of larger ones
