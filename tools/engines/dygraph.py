"""Engine dygraph: the network itself, as Paddle trains it, on any device."""
import paddle


class Dygraph:
    """engine(images) -> the outputs as Tensors."""

    name = "dygraph"

    def __init__(self, model):
        self.model, self.version = model, paddle.__version__

    @paddle.no_grad()
    def __call__(self, images):
        was_training = self.model.training
        self.model.eval()
        outputs = self.model(paddle.to_tensor(images))
        if was_training:
            self.model.train()
        return outputs
