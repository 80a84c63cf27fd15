"""The words of the page in Chinese, with the keys of english.py."""

PAGE = {
    "lang": "zh-CN",
    "title": "SOLOv2 是怎样看 {photo} 的",
    "lead": "一张照片从头到尾走过整个网络，每一步看到什么都摆在这里。页面上的每个数字都是网络自己的代码"
            "运行时读出来的，没有一个是另外重算的。",
    "facts": "{config} · 权重：{weights} · {classes} 个类别 · 原图 {original}，网络输入 {padded} · "
             "前向 {network:.2f} 秒（{device}） · Paddle {paddle}",
    "random": "<b>这里用的是随机权重。</b>形状、步骤和规则都是真的，但网络“找到”的东西没有意义：未经训练的"
              "网络给每个格子、每个类别的概率都在 0.01 左右。如果仍想看后面的步骤，可以调低阈值："
              "<code>-o score_threshold=0.0101</code>。",
    "nav": ("照片", "金字塔", "网格", "掩码特征", "掩码", "Matrix NMS", "结果", "训练目标", "损失"),
    "input_title": "照片变成张量",
    "input": "<p>原图为 {original} 像素（宽 × 高），缩放到 {resized}：短边为 {short_side}，长边不超过 "
             "{max_side} 像素。然后减去平均颜色，再在右边和下边补零到 {padded}，即 32 的倍数，因为最深的"
             "特征图要缩小 32 倍。下面看到的就是这个张量本身，只是换算回了颜色；补的零对应平均颜色，"
             "所以呈灰色。</p>",
    "pyramid_title": "主干网络与特征金字塔",
    "pyramid": "<p>主干网络一级一级往下走，像素越来越少，通道越来越多（C2 到 C5）。特征金字塔再把上一级放大后"
               "加到下一级上，于是每一级既知道东西在哪里，也知道它是什么（P2 到 P6）。每张特征图只画出变化最大"
               "的八个通道，最暗处是最小值，最亮处是最大值。</p>",
    "grids_title": "每个格子回答两个问题",
    "grids": "<p>每一级特征图都被缩放成 S × S 的网格：细网格负责小目标，粗网格负责大目标。目标的中心落在哪个"
             "格子，那个格子就要说出它<b>是什么</b>（每个类别一个概率），以及<b>怎样画出它</b>（一个 1 × 1 "
             "卷积的卷积核）。<b>把鼠标移到图上，就能看到该格子会画出的掩码；单击可以固定这个格子。</b>"
             "越橙的格子得分越高。</p>",
    "grids_equation": "<i>p</i><sub>i,j</sub> = σ(category(<i>F</i><sub>I</sub>))<sub>i,j</sub> ∈ "
                      "[0, 1]<sup>C</sup> &emsp; <i>G</i><sub>i,j</sub> = kernel([<i>F</i><sub>I"
                      "</sub>, x, y])<sub>i,j</sub> ∈ ℝ<sup>E</sup> &emsp; <span>C = {classes}，"
                      "E = {channels}；SOLOv2 第 3.1 节</span>",
    "features_title": "掩码特征：所有掩码共用的一张图",
    "features": "<p>与此同时，P2 到 P5 都被放大到输入的四分之一并相加，得到 {channels} 个 {map} 的通道。没有"
                "哪个通道就是某个目标，它们各自记着某种边缘、区域或方向。单击任意一个可以放大。</p>",
    "masks_title": "掩码 = 卷积核 × 掩码特征",
    "masks": "<p>格子给出的卷积核在每个像素上对 {channels} 个通道加权求和，再过 sigmoid，就得到<b>软掩码</b>，"
             "即每个像素的概率。高于 {mask_threshold} 的像素构成<b>掩码</b>。掩码内概率的平均值叫 "
             "<b>maskness</b>，表示网络对这块区域有多确定；掩码模糊，类别得分也要打折。</p>",
    "masks_equation": "<i>M</i><sub>i,j</sub> = σ(<i>G</i><sub>i,j</sub> ∗ <i>F</i>) &emsp; "
                      "maskness = <span class='fraction'><span>Σ <i>M</i> · [<i>M</i> &gt; "
                      "{mask_threshold}]</span><span>Σ [<i>M</i> &gt; {mask_threshold}]</span>"
                      "</span> &emsp; score = <i>p</i><sub>c</sub> · maskness <span>SOLOv2 "
                      "公式 2 与第 3.4 节</span>",
    "nms_title": "Matrix NMS：同一个目标只留一次",
    "nms": "<p>相邻的格子会画出同一个目标。<b>Points NMS</b> 已经先去掉了一批：某个格子的得分若低于左边、上边或"
           "左上角的邻居，就清零。<b>Matrix NMS</b> 再把同一类别的所有掩码两两比较，一次算完：一个掩码与更好的"
           "掩码重叠越多，得分降得越多；但如果那个更好的掩码自己也被别人盖住，降幅就要收一些。单击表中一行，"
           "可以看到这两个掩码。</p>",
    "nms_equation": {
        "gaussian": "decay<sub>j</sub> = min<sub>i: s<sub>i</sub> &gt; s<sub>j</sub></sub> "
                    "<span class='fraction'><span><i>f</i>(iou<sub>i,j</sub>)</span><span>min"
                    "<sub>k: s<sub>k</sub> &gt; s<sub>i</sub></sub> <i>f</i>(iou<sub>k,i</sub>)"
                    "</span></span> &emsp; <i>f</i>(iou) = exp(−{nms_sigma} · iou²) <span>SOLOv2 "
                    "公式 4 至 6</span>",
        "linear": "decay<sub>j</sub> = min<sub>i: s<sub>i</sub> &gt; s<sub>j</sub></sub> "
                  "<span class='fraction'><span><i>f</i>(iou<sub>i,j</sub>)</span><span>min"
                  "<sub>k: s<sub>k</sub> &gt; s<sub>i</sub></sub> <i>f</i>(iou<sub>k,i</sub>)"
                  "</span></span> &emsp; <i>f</i>(iou) = 1 − iou <span>SOLOv2 公式 4 至 6"
                  "</span>"},
    "result_title": "结果",
    "result": "<p>得分仍不低于 {update_threshold} 的掩码放大到原图大小，最多 {max_per_image} 个。这里画出的是"
              "得分不低于 {draw_threshold} 的那些。</p>",
    "lesson_title": "训练：哪个格子负责哪个目标",
    "lesson": "<p>{source} 先看目标框的 √(宽 × 高)：它落在哪些级的<b>尺度范围</b>内，就由哪些级来学；范围有"
              "重叠，所以有的目标归两级管。在这样的一级上，<b>中心区域</b>碰到的格子负责它：把框缩小到边长的 "
              "{center_region}（虚线），移到质心（白点），并且离质心所在的格子最多一格。</p>",
    "lesson_none": "<p>这里没有可以教的东西：没有找到任何可以代替标注的目标。可以用 <code>--json "
                   "annotations.json</code> 给出真正的标注。</p>",
    "lesson_found": "没有给出标注，所以拿上面找到的 {count} 个目标来代替。",
    "lesson_json": "这 {count} 个目标来自 {json}。",
    "losses_title": "训练：每个格子的两项损失",
    "losses": "<p>每个格子都要为自己的类别概率付出代价（<b>focal loss</b>）；负责目标的格子还要为掩码付出代价"
              "（<b>Dice loss</b>，与缩小到四分之一的目标掩码相比）。越红的格子损失越大。同一种损失的各部分加"
              "起来，正好就是训练时在这张图上要最小化的值。</p>",
    "losses_equation": "<i>L</i> = <i>L</i><sub>cate</sub> + λ <i>L</i><sub>mask</sub>，λ = "
                       "{mask_loss_weight} &emsp; <i>L</i><sub>Dice</sub> = 1 − <span "
                       "class='fraction'><span>2 Σ <i>M</i> <i>M</i>*</span><span>Σ <i>M</i>² + Σ "
                       "<i>M</i>*²</span></span> &emsp; <i>L</i><sub>focal</sub> = −α<sub>t</sub> (1 − "
                       "<i>p</i><sub>t</sub>)<sup>γ</sup> log <i>p</i><sub>t</sub>，α = "
                       "{focal_alpha}，γ = {focal_gamma} <span>SOLOv2 第 3.3 节；SOLO 公式 3 "
                       "至 6</span>",
    "footer": "由 <code>python -m tools.explain</code> 生成，用时 {seconds:.1f} 秒，其中网络占 {network:.1f} "
              "秒。本页面不需要联网。",
}

SCRIPT = {
    "level": "{0} · {1} × {1}", "cell": "第 {0} 行，第 {1} 列",
    "hint": "方向键可以移到相邻的格子。行和列从 0 数起。",
    "what": "这里是什么？",
    "silenced": "Points NMS 去掉了“{0}”：邻居 {1} 的得分是 {2}。",
    "passed": "Points NMS 保留了“{0}”：左边和上边没有得分更高的邻居。",
    "kernel": "它的卷积核，{0} 个数", "kernelRange": "蓝 −{0}，红 +{0}",
    "strongest": "权重最大的通道",
    "mask": "它画出的掩码",
    "area": "左边是软掩码，右边是高于 {0} 的部分：在四分之一大小的图上占 {1} 个像素，maskness {2}。",
    "nothing": "没有找到任何目标。",
    "fateTitle": "它后来怎样",
    "none": "不是候选：经过 points NMS 之后没有高于 {0} 的得分。",
    "product": "{0}：得分 {1} × maskness {2} = <b>{3}</b>。",
    "undecayed": "Matrix NMS 没有动它：同类中没有更好的掩码盖住它。",
    "decayed": "Matrix NMS：掩码 {0} 与它的 IoU 是 {1}，系数 {2}，剩下 <b>{3}</b>。",
    "fates": {
        "kept": "它是第 {0} 个结果。",
        "decayed": "低于 {0}，被丢弃。",
        "crowded": "更好的已经有 {0} 个。",
        "small": "掩码不大于这一级的步长 {0}，被丢弃。",
        "left": "没有再处理：它已经不可能进入结果。"},
    "verdict": {"kept": "结果 {0}", "decayed": "丢弃", "crowded": "超额", "small": "太小",
                "left": "未处理"},
    "heads": ("#", "格子", "类别", "得分", "maskness", "乘积", "被谁压低", "IoU", "系数", "之后", "去向"),
    "noCandidates": "没有一个格子的得分高于 {0}：没有什么可抑制的，结果为空。",
    "more": "另有 {0} 个得分更低的候选没有列出。",
    "pair": "蓝色是掩码 {0}（乘积 {1}），橙色是压低它的掩码 {2}：IoU {3}，系数 {4}，之后 {5}。"
            "白色是两者重合的部分。",
    "single": "掩码 {0}（乘积 {1}）。同类中没有更好的掩码盖住它。",
    "goto": "在网格中查看这个格子",
    "objectHeads": ("", "目标", "目标掩码", "√面积", "由哪级学习 · 格子数"),
    "range": "这一级的尺度范围：{0} 到 {1} 像素。",
    "ownerTitle": "训练时",
    "owner": "它负责目标 {0}（“{1}”）：√面积 {2} 在 {3} 到 {4} 之间，中心区域碰到了这个格子。"
             "掩码的 Dice loss：{5}。",
    "background": "背景：没有中心区域碰到它。",
    "categoryLoss": "它在类别损失中的一份：{0}。",
    "categoryTab": "类别损失", "maskTab": "掩码损失",
    "total": "类别损失：{0} 个格子之和除以（正样本 {1} + 1）= <b>{2}</b>。掩码损失：λ = {3} 乘以 {4} 对的"
             "平均 Dice loss = <b>{5}</b>。",
    "channel": "通道 {0}：最大值 {1}",
}
