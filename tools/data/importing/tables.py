"""csv files as tools and spreadsheets write them."""
import csv
import io

LONGEST_FIELD = 2**31 - 1          # the outline of one object may be longer than csv's 131072


def table_rows(text):
    """A dict for each row; separated by whatever separates the header: comma, semicolon or tab."""
    csv.field_size_limit(LONGEST_FIELD)
    header = text.partition("\n")[0]
    return csv.DictReader(io.StringIO(text.replace("\0", "")),
                          delimiter=max(",;\t", key=header.count))
