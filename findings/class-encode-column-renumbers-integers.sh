#!/usr/bin/env bash
# class_encode_column of Hugging Face datasets gives integer labels other numbers: 2 becomes 4.
#
# datasets 5.2.0; Python 3.11, Linux.
#
# train_test_split(stratify_by_column="label") wants a ClassLabel, and class_encode_column("label") makes one
# of any column. Labels that already are the integers from 0 to 9 keep their numbers. With the integers from
# 0 to 11, each from 2 on gets another one, so that they no longer fit the predictions of a trained model,
# a list of class names, or labels read elsewhere; the column still holds the integers from 0 to 11. The
# values are turned into texts and those are sorted, "10" before "2"; the old numbers are left as the names
# of the new ones, for int2str. Of bools and texts one would expect this order. (The order is discussed in
# issue 3762 of huggingface/datasets, not what it does to integers.)
#
# cast_column("label", ClassLabel(num_classes=12)) leaves the numbers as they are.
#
# Seen:
#   labels               0  1  2  3  4  5  6  7  8  9
#   class_encode_column  0  1  2  3  4  5  6  7  8  9
#   labels               0  1  2  3  4  5  6  7  8  9 10 11
#   class_encode_column  0  1  4  5  6  7  8  9 10 11  2  3
#   cast_column          0  1  2  3  4  5  6  7  8  9 10 11
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    datasets==5.2.0 numpy==2.4.6

cat > "$dir/labels.py" <<'PYTHON'
from datasets import ClassLabel, Dataset, disable_progress_bars

disable_progress_bars()


def show(name, labels):
    print(f"{name:19} " + " ".join(f"{label:2}" for label in labels))


for classes in (10, 12):
    rows = Dataset.from_dict({"label": list(range(classes))})
    encoded = rows.class_encode_column("label")
    show("labels", rows["label"])
    show("class_encode_column", encoded["label"])
    names = encoded.features["label"].int2str(list(encoded["label"]))
    assert names == [str(label) for label in rows["label"]]
show("cast_column", rows.cast_column("label", ClassLabel(num_classes=12))["label"])
PYTHON

export HF_HOME="$dir/huggingface" HF_HUB_OFFLINE=1
"$dir/venv/bin/python" "$dir/labels.py" > "$dir/seen" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
cat "$dir/seen"
diff "$dir/seen" - <<'SEEN'
labels               0  1  2  3  4  5  6  7  8  9
class_encode_column  0  1  2  3  4  5  6  7  8  9
labels               0  1  2  3  4  5  6  7  8  9 10 11
class_encode_column  0  1  4  5  6  7  8  9 10 11  2  3
cast_column          0  1  2  3  4  5  6  7  8  9 10 11
SEEN
