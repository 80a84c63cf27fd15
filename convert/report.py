"""What the converter says: what was dropped or filled, and the input of a network."""
from tools.errors import shown


def count_lines(matched, dropped, filled, extras):
    """The lines of the report that count tensors."""
    lines = [f"tensors: {matched} matched, {sum(map(len, dropped.values()))} dropped, "
             f"{len(filled)} missing"]
    lines += [f"  dropped {len(names)}: {reason} ({names[0]}{', ...' if len(names) > 1 else ''})"
              for reason, names in dropped.items()]
    if filled:
        lines.append(f"  missing {len(filled)}, set to zero: biases that the other project "
                     f"lacks ({filled[0]}, ...)")
    if extras:
        lines.append(f"  other entries left aside: {', '.join(extras[:8])}"
                     f"{', ...' if len(extras) > 8 else ''}")
    return lines


def class_text(names):
    """The first two names of the classes."""
    return ", ".join(map(shown, names[:2])) + (", ..." if len(names) > 2 else "")


def input_text(settings):
    resize = f"resized by {settings['resize_library']}"
    order = ("normalised", resize) if settings["normalize_first"] else (resize, "normalised")
    return (f"{settings['channel_order'].upper()}, {', then '.join(order)}, "
            f"mean {settings['pixel_mean']}, deviation {settings['pixel_std']}, "
            f"size rule {settings['resized_size_rule']}")
