"""What chapters say, in Korean, by what they say in English; numbers stand in braces, as there."""

TEXTS = {
    # Of every chapter, and of the first page.
    "Chapter {number}": "{number}장",
    "Try it": "직접 해 보기",
    "How Keras and torch differ": "Keras와 torch는 어떻게 다른가",
    "{count} known differences": "알려진 차이 {count}가지",
    "Chapters": "장",
    "What do you see?": "무엇이 보이나요?",
    "By area": "분야별로",
    "To be read in this order": "이 순서로 읽으세요",
    "Chapters are made of recordings: python -m parity.explain --html DIR, without --no-run, makes them.": (
        "장은 기록으로 만들어집니다. --no-run 없이 python -m parity.explain --html DIR을 실행하면 만들어집니다."
    ),
    "Two programs, one in Keras and one in PyTorch, that are meant to be the same: this book says what makes them "
    "differ. Each page shows both frameworks side by side, what their scripts print, and how to align either; "
    "every number is printed by a script that stands beside it.": (
        "같아야 할 두 프로그램, 하나는 Keras로, 하나는 PyTorch로 쓰였습니다. 이 책은 무엇이 둘을 다르게 만드는지 "
        "말합니다. 쪽마다 두 프레임워크를 나란히 놓고, 각각의 스크립트가 출력하는 것과 어느 쪽이든 맞추는 방법을 "
        "보여 줍니다. 모든 수는 그 옆에 있는 스크립트가 출력한 것입니다."
    ),
    # Why two honest runs part.
    "Why two honest runs part": "정직한 두 실행은 왜 갈라지는가",
    "doubled every {count} steps or so": "약 {count} 스텝마다 두 배가 되었습니다",
    "hardly grown": "거의 커지지 않았습니다",
    "Keras and torch train one network with ReLUs on handwritten digits: {steps} steps, from the same weights, "
    "on the same batches. Nothing is different but the order in which numbers are added up.": (
        "Keras와 torch가 ReLU를 쓰는 한 신경망을 손글씨 숫자로 학습합니다. 같은 가중치에서 시작해 같은 배치로 "
        "{steps} 스텝입니다. 다른 것은 수를 더하는 순서뿐입니다."
    ),
    "And yet their costs part: in the end by {apart} of the cost. Is one of them wrong?": (
        "그런데도 두 비용은 갈라집니다. 끝에는 비용의 {apart}만큼 벌어집니다. 둘 중 하나가 틀린 걸까요?"
    ),
    "after step": "스텝",
    "the costs are apart by, in parts of the cost": "두 비용의 차이, 비용에 대한 비율",
    "A float32 keeps 24 binary digits, some seven decimal ones. Add a thousand numbers in two orders, and "
    "the last digit of the sum differs. That is all that differs at first:": (
        "float32는 이진수 24자리, 십진수로는 일곱 자리쯤을 간직합니다. 천 개의 수를 두 가지 순서로 더하면 합의 "
        "마지막 자리가 달라집니다. 처음에 다른 것은 그것뿐입니다:"
    ),
    "From step {first} to step {last} the difference has {grown}. A step of training makes of two weights "
    "that are close two that are a little less close, as a ReLU opens on one side and not on the other. "
    "What grows by a factor in every step is called chaos: no accuracy of the machine helps for long, for "
    "ten digits more last only a few times as long.": (
        "{first} 스텝부터 {last} 스텝까지 차이는 {grown}. 한 스텝의 학습은 가까운 두 가중치를 조금 덜 가깝게 "
        "만듭니다. 한쪽에서는 ReLU가 열리고 다른 쪽에서는 열리지 않기 때문입니다. 스텝마다 일정한 배율로 커지는 것을 "
        "카오스라고 합니다. 기계의 정밀도를 높여도 오래가지 못합니다. 열 자리가 더 있어도 몇 배쯤 더 버틸 뿐입니다."
    ),
    "How does one know that rounding does this, and no mistake? Each framework was run {count} times more, "
    "from weights that were moved by one unit in the last place. These reruns, twins, part from their own "
    "framework's run as fast as the frameworks part from each other: the thin lines of the picture.": (
        "실수가 아니라 반올림 때문이라는 것을 어떻게 알까요? 각 프레임워크를, 가중치를 마지막 자리의 한 단위만큼 "
        "움직여 {count}번 더 실행했습니다. 쌍둥이라 부르는 이 재실행들은 두 프레임워크가 서로 갈라지는 것만큼 빠르게 "
        "자기 프레임워크의 실행에서 갈라집니다. 그림의 가는 선들입니다."
    ),
    "From step {last} on, the horizon, the difference is as large as it can get by noise. What two curves "
    "do there says nothing about the programs that made them. Before it, a difference above the dashed "
    "line would.": (
        "{last} 스텝, 곧 지평선부터는 차이가 잡음으로 커질 수 있는 만큼 커져 있습니다. 거기서 두 곡선이 어떻게 "
        "움직이든 그것을 만든 프로그램에 대해서는 아무것도 말해 주지 않습니다. 그 앞에서라면, 점선 위의 차이는 "
        "무언가를 말해 줍니다."
    ),
    "What is seen": "보이는 것",
    "Where it begins": "시작되는 곳",
    "Twins, and the horizon": "쌍둥이와 지평선",
    # Why one step tells.
    "Why one step tells": "왜 한 스텝이면 충분한가",
    "Now one thing is really different: Keras's Adam, as it ships, adds its epsilon before the correction of "
    "the bias, torch's after it. Everything else is as before.": (
        "이번에는 정말로 한 가지가 다릅니다. Keras가 제공하는 Adam은 편향을 보정하기 전에 엡실론을 더하고, torch의 "
        "것은 보정한 뒤에 더합니다. 나머지는 모두 앞과 같습니다."
    ),
    "At the end of training the costs are {stock} apart; those of the honest pair are {honest} apart. Who "
    "looks at the ends of two curves cannot tell which pair is honest.": (
        "학습이 끝났을 때 두 비용의 차이는 {stock}이고, 정직한 쌍의 차이는 {honest}입니다. 두 곡선의 끝만 보아서는 "
        "어느 쌍이 정직한지 알 수 없습니다."
    ),
    "So a whole run is not what to compare. Take the weights of one side before a step, give them to both, "
    "and let each do this one step: the forward pass layer by layer, the cost, the gradients, the update. "
    "Nothing had time to grow. And of one step it is known how much rounding there can be: every sum of n "
    "numbers is off by no more than a bound that follows from n and from their sizes.": (
        "그러니 비교할 것은 실행 전체가 아닙니다. 한 스텝 앞에서 한쪽의 가중치를 가져와 양쪽에 주고, 각각 그 한 "
        "스텝만 하게 하십시오. 층마다의 순전파, 비용, 기울기, 갱신입니다. 무엇도 커질 시간이 없었습니다. 그리고 한 "
        "스텝이라면 반올림이 얼마나 될 수 있는지 알려져 있습니다. 수 n개의 합은 n과 그 크기들에서 나오는 한계보다 더 "
        "벗어날 수 없습니다."
    ),
    "The bars show how much of that bound each stage uses. Of the honest pair none reaches the line. Of "
    "the other one, all do well but one, and it is the one in which the mistake is:": (
        "막대는 각 단계가 그 한계를 얼마나 쓰는지 보여 줍니다. 정직한 쌍에서는 어느 것도 선에 닿지 않습니다. 다른 "
        "쌍에서는 하나만 빼고 모두 괜찮으며, 그 하나가 바로 잘못이 있는 단계입니다:"
    ),
    "The honest pair": "정직한 쌍",
    "Keras's own Adam": "Keras 자신의 Adam",
    "The ends of two curves": "두 곡선의 끝",
    "One step, stage by stage": "한 스텝, 단계마다",
    # Vanishing gradients.
    "Vanishing gradients, seen": "눈으로 보는 기울기 소실",
    "A network of ten layers is to learn XOR: two inputs, and an output that is 1 if exactly one of them is. "
    "The gradient of the cost begins at the last layer, and each layer before it multiplies it by its weights "
    "and by the derivative of its activation. A sigmoid's derivative is at most 1/4: nine of them make at most "
    "{least} of it.": (
        "층이 열 개인 신경망이 XOR을 배우려 합니다. 입력은 둘이고, 그중 정확히 하나가 1일 때 출력이 1입니다. 비용의 "
        "기울기는 마지막 층에서 시작하고, 그 앞의 층마다 자기 가중치와 활성화 함수의 미분을 곱합니다. 시그모이드의 "
        "미분은 아무리 커도 1/4이므로, 아홉 개를 지나면 많아야 {least}만 남습니다."
    ),
    "With sigmoids, the first layer's gradient is {sigmoid} of the last one's at the start, in Keras as in "
    "torch; with tanh {tanh}, with ReLUs {relu}.": (
        "시그모이드를 쓰면 처음에 첫 층의 기울기는 Keras에서나 torch에서나 마지막 층의 {sigmoid}입니다. tanh로는 "
        "{tanh}, ReLU로는 {relu}입니다."
    ),
    "activation": "활성화 함수",
    "first layer's gradient / last's, at the start": "처음에, 첫 층의 기울기 / 마지막 층의 기울기",
    "cost after {steps} steps, Keras": "{steps} 스텝 뒤의 비용, Keras",
    "most dead units in a layer, Keras": "한 층에서 죽은 유닛의 최대 비율, Keras",
    "The same network of sigmoids from four starts. From zeros, all units of a layer are one unit, and what comes "
    "to the first layers is nothing at all. The wide N(0, 1) saturates sigmoids; Xavier's and He's widths keep the "
    "sizes of activations and gradients from layer to layer, but no start makes the derivative of a sigmoid larger "
    "than 1/4.": (
        "같은 시그모이드 신경망을 네 가지 초기값에서 시작합니다. 0에서 시작하면 한 층의 모든 유닛이 한 유닛이나 "
        "다름없고, 앞쪽 층에는 아무것도 전해지지 않습니다. 넓은 N(0, 1)은 시그모이드를 포화시킵니다. Xavier와 He의 "
        "너비는 층에서 층으로 활성값과 기울기의 크기를 지켜 주지만, 어떤 초기값도 시그모이드의 미분을 1/4보다 크게 "
        "만들지는 못합니다."
    ),
    "On digits, in a narrow network: sigmoids, ReLUs, and what people put between layers. Batch normalisation "
    "brings each layer's inputs back to mean 0 and deviation 1; dropout takes random units out of a step, in both "
    "frameworks here the same ones.": (
        "숫자 그림에서, 좁은 신경망으로: 시그모이드, ReLU, 그리고 사람들이 층 사이에 넣는 것들입니다. 배치 정규화는 "
        "각 층의 입력을 평균 0과 표준편차 1로 되돌립니다. 드롭아웃은 한 스텝에서 무작위로 유닛을 빼는데, 여기서는 두 "
        "프레임워크가 같은 유닛을 뺍니다."
    ),
    "Six activations": "여섯 가지 활성화 함수",
    "Four starts": "네 가지 초기값",
    "What helps": "도움이 되는 것",
    "Norm of each layer's gradient, by step;": "스텝에 따른 각 층의 기울기 노름;",
    "a gap where it is zero.": "0인 곳은 비어 있습니다.",
    "the share of a layer's units whose derivative is zero for every sample. The other networks have none.": (
        "모든 표본에서 미분이 0인 유닛이 한 층에서 차지하는 비율. 다른 신경망에는 없습니다."
    ),
    "Dead units:": "죽은 유닛:",
    # The NaN.
    "The NaN that was blamed on vanishing gradients": "기울기 소실 탓으로 돌려진 NaN",
    "the same, each logarithm at least -100": "같은 식, 로그는 각각 -100 이상",
    "the same, h kept between 1e-7 and 1 - 1e-7": "같은 식, h는 1e-7과 1 - 1e-7 사이로 제한",
    "Here the cost is lost at step {keras} in Keras and at step {torch} in torch, in a network whose first "
    "layer's gradient is {norm} at the start.": (
        "여기서 비용은 Keras에서는 {keras} 스텝에, torch에서는 {torch} 스텝에 사라지는데, 이 신경망의 첫 층의 "
        "기울기는 처음에 {norm}입니다."
    ),
    "A post on XOR tells of a cost that became NaN, and blames vanishing gradients. A gradient that vanishes "
    "is a small number, and a small number is no NaN.": (
        "XOR에 관한 어느 글은 비용이 NaN이 되었다고 하면서 기울기 소실을 탓합니다. 사라지는 기울기는 작은 수이고, "
        "작은 수는 NaN이 아닙니다."
    ),
    "An output that is exactly 1 in float32 is: its 1 - h is 0, the logarithm of 0 is minus infinity, and 0 "
    "times infinity is NaN. A sigmoid rounds to 1 as soon as its input is above 17.": (
        "float32에서 정확히 1인 출력이 범인입니다. 그러면 1 - h는 0이고, 0의 로그는 음의 무한대이며, 0 곱하기 "
        "무한대는 NaN입니다. 시그모이드는 입력이 17을 넘으면 곧 1로 반올림됩니다."
    ),
    "cost": "비용",
    "formula": "식",
    "first cost that is no number, Keras": "처음으로 수가 아닌 비용, Keras",
    "last cost that is one, Keras": "마지막으로 수인 비용, Keras",
    "The same network, weights and batches four times; only the cost is written differently. In exact "
    "numbers all four are the same. From logits, nothing is lost; clamped and clipped costs stay finite, "
    "but their gradient is 0 where they were cut, so that an output that is confidently wrong is never put "
    "right.": (
        "같은 신경망, 같은 가중치, 같은 배치로 네 번, 비용을 쓰는 방식만 다릅니다. 정확한 수로는 넷이 모두 같습니다. "
        "로짓에서 계산하면 아무것도 잃지 않습니다. clamped와 clipped 비용은 유한하지만 잘린 곳에서 기울기가 0이므로, "
        "자신 있게 틀린 출력은 끝내 바로잡히지 않습니다."
    ),
    "Four ways to write one cost": "한 비용을 쓰는 네 가지 방식",
    "step {step}": "{step} 스텝",
    "never": "없음",
    "The cost of every step;": "모든 스텝의 비용;",
    "a curve ends where its cost is no number.": "비용이 수가 아닌 곳에서 곡선이 끝납니다.",
    # A port, debugged.
    "A port, debugged": "이식 하나의 디버깅",
    "Somebody has ported a small classifier of sentences from Keras to torch: words become vectors, an LSTM "
    "reads them, and its last state is classified. It runs, all shapes fit, it trains, and it is worse. Here "
    "is what happens if it is held against the original, and mended as the report says, until nothing is left.": (
        "누군가 작은 문장 분류기를 Keras에서 torch로 옮겼습니다. 단어는 벡터가 되고, LSTM이 그것을 읽고, 마지막 "
        "상태를 분류합니다. 실행되고, 모양이 모두 맞고, 학습도 되는데, 결과가 더 나쁩니다. 이것을 원본과 견주고 "
        "보고서가 말하는 대로 고쳐 가면, 아무것도 남지 않을 때까지 무슨 일이 일어나는지 보십시오."
    ),
    "No weights were copied by hand: parity.check moves them from Keras's model to torch's, the gates of the "
    "LSTM included.": (
        "가중치를 손으로 복사하지 않았습니다. parity.check가 LSTM의 게이트까지 Keras의 모델에서 torch의 모델로 "
        "옮깁니다."
    ),
    "Both programs": "두 프로그램",
    "Check number {turn}": "{turn}번째 검사",
    "Parity": "Parity",
    "So this is changed:": "그래서 이렇게 바꿉니다:",
}
