"""What the converter says: what was dropped or filled, and the input of a network."""


def count_lines(matched, dropped, filled, extras):
    """The lines of the report that count tensors."""
    lines = [f"tensors: {matched} matched, {sum(map(len, dropped.values()))} dropped, "
             f"{len(filled)} missing"]
    lines += [f"  dropped {len(names)}: {reason} ({names[0]}{', ...' if len(names) > 1 else ''})"
              for reason, names in dropped.items()]
    if filled:
        lines.append(f"  missing {len(filled)}, set to zero: biases that the other project has "
                     f"not ({filled[0]}, ...)")
    if extras:
        lines.append(f"  other entries left aside: {', '.join(extras[:8])}"
                     f"{', ...' if len(extras) > 8 else ''}")
    return lines


def input_text(settings):
    resize = f"resized by {settings['resize_library']}"
    order = ("normalised", resize) if settings["normalize_first"] else (resize, "normalised")
    return (f"{settings['channel_order'].upper()}, {', then '.join(order)}, "
            f"mean {settings['pixel_mean']}, deviation {settings['pixel_std']}, "
            f"size rule {settings['resized_size_rule']}")
