"""Engine dygraph: the network itself, as Paddle trains it, on any device."""
import paddle


class Dygraph:
    """engine(images) -> the outputs as Tensors."""

    name = "dygraph"

    def __init__(self, model, half=False):
        """half: float16 where it is safe (Paddle's O1), on GPUs only."""
        self.model, self.version, self.half = model, paddle.__version__, half
        self.precision = "half" if half else "float32"

    @paddle.no_grad()
    def __call__(self, images):
        was_training = self.model.training
        self.model.eval()
        with paddle.amp.auto_cast(self.half):
            outputs = self.model(paddle.to_tensor(images))
        if was_training:
            self.model.train()
        return outputs
