"""The words of the page in English; chinese.py has the same keys."""

PAGE = {
    "lang": "en",
    "title": "How SOLOv2 sees {photo}",
    "lead": "One photograph on its way through the network, with what every step sees. Every number "
            "was read off the network's own code while it ran; nothing here is computed again.",
    "facts": "{config} · weights: {weights} · {classes} classes · photograph {original}, network "
             "input {padded} · forward pass {network:.2f} s on {device} · Paddle {paddle}",
    "random": "<b>These weights are random.</b> Shapes, steps and rules are the real ones, but what "
              "the network finds means nothing: an untrained network gives every class of every "
              "cell a probability of about 0.01. To watch the later steps all the same, lower the "
              "threshold: <code>-o score_threshold=0.0101</code>.",
    "nav": ("photo", "pyramid", "grids", "mask features", "masks", "Matrix NMS", "result",
            "training", "losses"),
    "input_title": "The photograph becomes a tensor",
    "input": "<p>The photograph of {original} pixels (width × height) is resized to {resized}, so "
             "that its short side is {short_side} and its long side at most {max_side} pixels. Then "
             "the mean color is subtracted, and the picture is padded at the right and at the "
             "bottom to {padded}: multiples of 32, because the deepest map is 32 times smaller. "
             "What you see is the tensor itself, turned back into colors; the padding is zero, which "
             "is the mean color.</p>",
    "pyramid_title": "Backbone and feature pyramid",
    "pyramid": "<p>The backbone looks at the photograph with fewer pixels and more channels from "
               "stage to stage (C2 to C5). The feature pyramid adds each map to the enlarged one "
               "below it, so that every level knows both where something is and what it is (P2 to "
               "P6). Of each map you see the eight channels that vary most, dark for its lowest and "
               "bright for its highest value.</p>",
    "grids_title": "Every cell of a grid answers two questions",
    "grids": "<p>Each pyramid level is resized to a grid of S × S cells: fine grids for small "
             "objects, coarse ones for large objects. If the centre of an object falls into a cell, "
             "that cell shall say <b>what</b> it is, a probability per class, and <b>how to draw "
             "it</b>, the kernel of a 1 × 1 convolution. <b>Move over the picture to see the mask "
             "that a cell would draw; click to keep a cell.</b> Orange cells have high "
             "scores.</p>",
    "grids_equation": "<i>p</i><sub>i,j</sub> = σ(category(<i>F</i><sub>I</sub>))<sub>i,j</sub> ∈ "
                      "[0, 1]<sup>C</sup> &emsp; <i>G</i><sub>i,j</sub> = kernel([<i>F</i><sub>I"
                      "</sub>, x, y])<sub>i,j</sub> ∈ ℝ<sup>E</sup> &emsp; <span>C = {classes}, "
                      "E = {channels}; SOLOv2, section 3.1</span>",
    "features_title": "Mask features: one map for all masks",
    "features": "<p>Meanwhile P2 to P5 are brought to a quarter of the input's size and added up: "
                "{channels} channels of {map}. No channel is an object; each knows some edge, region "
                "or direction. Click one to enlarge it.</p>",
    "masks_title": "A mask is a kernel times the mask features",
    "masks": "<p>The kernel of a cell weighs the {channels} channels at every pixel; the sigmoid of "
             "the sum is the <b>soft mask</b>, a probability per pixel. Pixels above "
             "{mask_threshold} become the <b>mask</b>. How sure the network is inside it, the mean "
             "of these probabilities, is the <b>maskness</b>; a class score of a blurred mask is "
             "worth less.</p>",
    "masks_equation": "<i>M</i><sub>i,j</sub> = σ(<i>G</i><sub>i,j</sub> ∗ <i>F</i>) &emsp; "
                      "maskness = <span class='fraction'><span>Σ <i>M</i> · [<i>M</i> &gt; "
                      "{mask_threshold}]</span><span>Σ [<i>M</i> &gt; {mask_threshold}]</span>"
                      "</span> &emsp; score = <i>p</i><sub>c</sub> · maskness <span>SOLOv2, "
                      "equation 2 and section 3.4</span>",
    "nms_title": "Matrix NMS: the same object only once",
    "nms": "<p>Neighbouring cells draw the same object. <b>Points NMS</b> has already silenced each "
           "score that is lower than that of the cell at its left, above it, or above left. "
           "<b>Matrix NMS</b> now goes through all pairs of one class at once: a mask loses score "
           "for what it shares with a better one, and less so where that better one was itself "
           "doubtful. Click a row to see both masks.</p>",
    "nms_equation": {
        "gaussian": "decay<sub>j</sub> = min<sub>i: s<sub>i</sub> &gt; s<sub>j</sub></sub> "
                    "<span class='fraction'><span><i>f</i>(iou<sub>i,j</sub>)</span><span>min"
                    "<sub>k: s<sub>k</sub> &gt; s<sub>i</sub></sub> <i>f</i>(iou<sub>k,i</sub>)"
                    "</span></span> &emsp; <i>f</i>(iou) = exp(−{nms_sigma} · iou²) <span>SOLOv2, "
                    "equations 4 to 6</span>",
        "linear": "decay<sub>j</sub> = min<sub>i: s<sub>i</sub> &gt; s<sub>j</sub></sub> "
                  "<span class='fraction'><span><i>f</i>(iou<sub>i,j</sub>)</span><span>min"
                  "<sub>k: s<sub>k</sub> &gt; s<sub>i</sub></sub> <i>f</i>(iou<sub>k,i</sub>)"
                  "</span></span> &emsp; <i>f</i>(iou) = 1 − iou <span>SOLOv2, equations 4 to "
                  "6</span>"},
    "result_title": "The result",
    "result": "<p>Masks that kept a score of at least {update_threshold} are enlarged to the size of "
              "the photograph, at most {max_per_image} of them. Drawn here are those from "
              "{draw_threshold} on.</p>",
    "lesson_title": "Training: which cell owns which object",
    "lesson": "<p>{source} An object is learned by every level whose <b>scale range</b> holds "
              "√(width · height) of its box; the ranges overlap, so some objects have two levels. On "
              "such a level the cells within the <b>centre region</b> own it: the box shrunk to "
              "{center_region} of its sides (dashed), moved to the centre of mass (dot), at most one "
              "cell away from the centre's own cell.</p>",
    "lesson_none": "<p>There is nothing to teach here: nothing was found that could stand for "
                   "annotations. Give real ones with <code>--json annotations.json</code>.</p>",
    "lesson_found": "For want of annotations the {count} objects found above stand for them.",
    "lesson_json": "The {count} objects are those of {json}.",
    "losses_title": "Training: the two losses of every cell",
    "losses": "<p>Every cell pays for its class probabilities (<b>focal loss</b>), the owning cells "
              "also for their mask (<b>Dice loss</b>, against the object's mask at a quarter of the "
              "size). Cells in red pay most. All parts of one kind add up to the loss that training "
              "would minimise on this image.</p>",
    "losses_equation": "<i>L</i> = <i>L</i><sub>cate</sub> + λ <i>L</i><sub>mask</sub>, λ = "
                       "{mask_loss_weight} &emsp; <i>L</i><sub>Dice</sub> = 1 − <span "
                       "class='fraction'><span>2 Σ <i>M</i> <i>M</i>*</span><span>Σ <i>M</i>² + Σ "
                       "<i>M</i>*²</span></span> &emsp; <i>L</i><sub>focal</sub> = −α<sub>t</sub> (1 − "
                       "<i>p</i><sub>t</sub>)<sup>γ</sup> log <i>p</i><sub>t</sub>, α = "
                       "{focal_alpha}, γ = {focal_gamma} <span>SOLOv2, section 3.3; SOLO, "
                       "equations 3 to 6</span>",
    "footer": "Made by <code>python -m tools.explain</code> in {seconds:.1f} s, {network:.1f} s of "
              "them the network's. This page needs no connection.",
}

SCRIPT = {
    "level": "{0} · {1} × {1}", "cell": "row {0}, column {1}",
    "hint": "Arrow keys go to the neighbouring cell. Rows and columns count from 0.",
    "what": "What is here?",
    "silenced": "Points NMS silenced “{0}”: the neighbour {1} scores {2}.",
    "passed": "Points NMS let “{0}” pass: no neighbour at the left or above scores higher.",
    "kernel": "Its kernel, {0} numbers", "kernelRange": "blue −{0}, red +{0}",
    "strongest": "The channels that weigh most",
    "mask": "The mask it draws",
    "area": "Left the soft mask, right what is above {0}: {1} pixels of the quarter-size map, "
            "maskness {2}.",
    "nothing": "Nothing was found.",
    "fateTitle": "What becomes of it",
    "none": "Not a candidate: no score above {0} is left after points NMS.",
    "product": "{0}: score {1} × maskness {2} = <b>{3}</b>.",
    "undecayed": "Matrix NMS left it as it is: no better mask of its class covers it.",
    "decayed": "Matrix NMS: mask {0} shares IoU {1} with it, factor {2}, which leaves <b>{3}</b>.",
    "fates": {
        "kept": "It is result number {0}.",
        "decayed": "Below {0}, so it is dropped.",
        "crowded": "There are {0} better ones already.",
        "small": "Its mask is not larger than the stride of its level, {0}: dropped.",
        "left": "Left out: it could not get among the results any more."},
    "verdict": {"kept": "result {0}", "decayed": "dropped", "crowded": "too many",
                "small": "too small", "left": "left out"},
    "heads": ("#", "cell", "class", "score", "maskness", "product", "decayed by", "IoU", "factor",
              "after", "fate"),
    "noCandidates": "No cell has a score above {0}: there is nothing to suppress, and the result is "
                    "empty.",
    "pair": "In blue mask {0} (product {1}), in orange mask {2}, which decays it: IoU {3}, "
            "factor {4}, after {5}. White is common to both.",
    "single": "Mask {0} (product {1}). No better mask of its class covers it.",
    "goto": "Show the cell in its grid",
    "more": "{0} more candidates of lower scores are not listed.",
    "objectHeads": ("", "object", "target", "√area", "learned by · cells"),
    "range": "Scale range of this level: {0} to {1} pixels.",
    "ownerTitle": "In training",
    "owner": "It owns object {0} (“{1}”): √area {2} lies in {3} to {4}, and its centre region "
             "reaches this cell. Dice loss of its mask: {5}.",
    "background": "Background: no centre region reaches it.",
    "categoryLoss": "Its part of the category loss: {0}.",
    "categoryTab": "category loss", "maskTab": "mask loss",
    "total": "Category loss: the parts of {0} cells over ({1} + 1) positive ones = <b>{2}</b>. "
             "Mask loss: λ = {3} times the mean Dice loss of {4} pairs = <b>{5}</b>.",
    "channel": "channel {0}: highest value {1}",
}
