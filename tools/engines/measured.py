"""What was measured: seconds per engine and precision, and in which order that puts the engines."""
import math

EQUAL = 1.03                                   # times the shortest: as good as equal


class Choice:
    """seconds: {"openvino float32": seconds per image}; failures: {engine: why it cannot}."""

    def __init__(self, seconds, failures):
        self.seconds, self.failures = seconds, failures

    def order(self, precision):
        """Names of the engines measured in a precision, the fastest first; of those as good as
        equal to it the steadiest first, which is the order in which they were measured."""
        found = {name.partition(" ")[0]: seconds for name, seconds in self.seconds.items()
                 if name.endswith(f" {precision}")}
        equal = EQUAL * min(found.values(), default=0)
        return sorted(found, key=lambda name: max(found[name], equal))

    def best(self, precision):
        """Seconds of the first of `order` in a precision; infinite if there is none."""
        names = self.order(precision)
        return self.seconds[f"{names[0]} {precision}"] if names else math.inf

    def gain(self):
        """How many times as fast half precision is; 0 if no engine has it here."""
        return self.best("float32") / self.best("half")

    def line(self):
        """"engine: openvino 1.69 s, ncnn 1.96 s -> openvino" """
        parts = [f"{name.removesuffix(' float32')} {format_seconds(seconds)}"
                 for name, seconds in sorted(self.seconds.items(), key=lambda item: item[1])]
        return f"engine: {', '.join(parts)} -> {self.order('float32')[0]}"


def format_seconds(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
