"""XML from strangers: without document types no entity unfolds into gigabytes or opens a file."""
from xml.etree import ElementTree
from xml.parsers import expat

from tools.errors import UserError, shown


def parse_xml(data, name):
    """Bytes -> the root Element.  UserError for what is no XML, and for anything with a DTD."""
    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_):
        raise UserError(f"'{name}' declares a document type or entities, which annotation tools "
                        "never write; it is not read")

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, LookupError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"'{name}' is not XML: {shown(str(error))}") from None
