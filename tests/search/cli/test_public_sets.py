"""Each set of the page "Public sets and their layouts", in small, loads by the page's command."""

import csv
import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from openpyxl import Workbook
from PIL import Image

from tests.search.data.dicom_files import write_dicom

Call = Callable[..., tuple[int, str, str]]
Make = Callable[[], None]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "public-sets.md"
SIDE = 20


def commands_by_set() -> dict[str, list[list[str]]]:
    """Return the arguments of each command of the page, by the heading above it."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("$ convsearch "):
            found.setdefault(heading, []).append(shlex.split(line)[2:])
    return found


def noise(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def write_images(names: Iterable[str], first_seed: int = 0) -> None:
    for seed, name in enumerate(names, first_seed):
        write_image(name, noise(seed))


def write_image(name: str, pixels: np.ndarray) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_table(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_text(name: str, *lines: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("".join(f"{line}\n" for line in lines))


def copy_file(name: str, new: str) -> None:
    Path(new).parent.mkdir(parents=True, exist_ok=True)
    Path(new).write_bytes(Path(name).read_bytes())


def make_nih() -> None:
    findings = ("No Finding", "Pneumonia", "Effusion|Pneumonia", "Hernia")
    names = [f"{patient:08}_{visit:03}.png" for patient in range(1, 17) for visit in range(3)]
    write_images(f"images_{1 + i // 24:03}/images/{name}" for i, name in enumerate(names))
    rows = [
        {"Image Index": name, "Finding Labels": findings[i % 4], "Follow-up #": i % 3,
         "Patient ID": int(name[:8]), "Patient Age": "058Y", "Patient Gender": "M",
         "View Position": "PA", "OriginalImage[Width": 2682, "Height]": 2749,
         "OriginalImagePixelSpacing[x": 0.143, "y]": 0.143}
        for i, name in enumerate([*names, "00030805_000.png"])
    ]  # fmt: skip
    write_table("Data_Entry_2017.csv", rows)
    text = Path("Data_Entry_2017.csv").read_text()
    Path("Data_Entry_2017.csv").write_text(re.sub(r"\r?\n", ",\n", text))
    write_table("BBox_List_2017.csv", [{"Image Index": names[0], "Finding Label": "Hernia"}])
    write_text("train_val_list.txt", *names[:36])
    write_text("test_list.txt", *names[36:], "00030805_000.png")


def make_rsna() -> None:
    ids = [f"{i:08x}-fd96-4ee6-81ab-0d1ef0a2c1b5" for i in range(24)]
    for seed, name in enumerate(ids):
        write_dicom(Path(f"stage_2_train_images/{name}.dcm"), noise(seed), PatientID=name)
    write_dicom(Path("stage_2_test_images/ffff.dcm"), noise(99), PatientID="ffff")
    boxes = [{"x": 264.0, "y": 152.0, "width": 213.0, "height": 379.0}, dict.fromkeys("x", "")]
    rows: list[dict[str, object]] = [
        {"patientId": name, "x": "", "y": "", "width": "", "height": "", **boxes[(i + 1) % 2],
         "Target": i % 2}
        for i, name in enumerate(ids)
    ]  # fmt: skip
    write_table("stage_2_train_labels.csv", [*rows, *(row for row in rows[:7] if row["Target"])])
    classes = ("Normal", "Lung Opacity", "No Lung Opacity / Not Normal")
    write_table(
        "stage_2_detailed_class_info.csv",
        [{"patientId": name, "class": classes[i % 3]} for i, name in enumerate(ids)],
    )


def make_chexpert() -> None:
    cells = ("1.0", "0.0", "", "-1.0")
    for split, patients in (("train", range(1, 25)), ("valid", range(64541, 64544))):
        paths = [
            f"CheXpert-v1.0-small/{split}/patient{patient:05}/study1/view{view}_{side}.jpg"
            for patient in patients
            for view, side in ((1, "frontal"), (2, "lateral"))
        ]
        write_images(paths, first_seed=patients[0])
        rows = [
            {"Path": path, "Sex": "Female", "Age": 68, "Frontal/Lateral": "Frontal", "AP/PA": "AP",
             "No Finding": "", "Edema": cells[i // 2 % 4], "Fracture": cells[i % 3]}
            for i, path in enumerate(paths)
        ]  # fmt: skip
        write_table(f"CheXpert-v1.0-small/{split}.csv", rows)


def make_ham() -> None:
    names = [f"ISIC_{24306 + i:07}" for i in range(36)]
    for i, name in enumerate(names):
        path = f"HAM10000_images_part_{1 + i // 18}/{name}.jpg"
        write_images([path], first_seed=i)
        copy_file(path, path.lower().replace("isic", "ISIC"))
    rows = [
        {"lesion_id": f"HAM_{i // 2:07}", "image_id": name, "dx": ("nv", "mel", "bkl")[i // 2 % 3],
         "dx_type": "histo", "age": 80.0, "sex": "male", "localization": "scalp"}
        for i, name in enumerate(names)
    ]  # fmt: skip
    write_table("HAM10000_metadata.csv", rows)
    write_table("hmnist_8_8_L.csv", [{"pixel0000": 169, "label": 2}])


def make_isic_2019() -> None:
    names = [f"ISIC_{i:07}{'_downsampled' * (i % 5 == 0)}" for i in range(30)]
    write_images(f"ISIC_2019_Training_Input/{name}.jpg" for name in names)
    write_text("ISIC_2019_Training_Input/ATTRIBUTION.txt", "CC BY-NC")
    classes = ("MEL", "NV", "BCC")
    truth = [
        {"image": name, **{it: float(it == classes[i // 2 % 3]) for it in classes}, "UNK": 0.0}
        for i, name in enumerate(names)
    ]
    metadata = [
        {"image": name, "age_approx": 55.0, "anatom_site_general": "anterior torso",
         "lesion_id": f"HAM_{i // 2:07}" if i < 28 else "", "sex": "female"}
        for i, name in enumerate(names)
    ]  # fmt: skip
    write_table("ISIC_2019_Training_GroundTruth.csv", truth)
    write_table("ISIC_2019_Training_Metadata.csv", metadata)


def make_isic_2020() -> None:
    names = [f"ISIC_{15719 + i:07}" for i in range(30)]
    write_images(f"jpeg/train/{name}.jpg" for name in names)
    write_images(["jpeg/test/ISIC_0052060.jpg"], first_seed=50)
    for i, name in enumerate(names[:4]):
        write_dicom(Path(f"train/{name}.dcm"), noise(i))
    kinds = ("benign", "malignant")
    rows = [
        {"image_name": name, "patient_id": f"IP_{i // 3:07}", "sex": "female", "age_approx": 45.0,
         "anatom_site_general_challenge": "head/neck", "diagnosis": "unknown",
         "benign_malignant": kinds[i % 5 == 0], "target": int(i % 5 == 0)}
        for i, name in enumerate(names)
    ]  # fmt: skip
    write_table("train.csv", rows)
    write_table("test.csv", [{"image_name": "ISIC_0052060", "patient_id": "IP_9"}])


TUMORS = {
    "benign": {"A": "adenosis", "F": "fibroadenoma", "PT": "phyllodes_tumor",
               "TA": "tubular_adenoma"},
    "malignant": {"DC": "ductal_carcinoma", "LC": "lobular_carcinoma", "MC": "mucinous_carcinoma",
                  "PC": "papillary_carcinoma"},
}  # fmt: skip


def make_breakhis() -> None:
    seed = 0
    for kind, tumors in TUMORS.items():
        for short, name in tumors.items():
            for slide in range(3):
                case = f"14-{22549 + seed}AB"
                code = f"SOB_{kind[0].upper()}_{short}"
                for power in (40, 100, 200, 400):
                    folder = (
                        f"BreaKHis_v1/histology_slides/breast/{kind}/SOB/{name}/{code}_{case}/"
                        f"{power}X"
                    )
                    stem = f"{folder}/{code}-{case}-{power}-00"
                    write_images((f"{stem}{1 + slide}.png", f"{stem}5.png"), first_seed=seed)
                    seed += 2
    write_text("BreaKHis_v1/histology_slides/breast/README.txt", "BreaKHis")


def make_busi() -> None:
    seed = 0
    for kind in ("benign", "malignant", "normal"):
        for i in range(1, 11):
            stem = f"Dataset_BUSI_with_GT/{kind}/{kind} ({i})"
            write_images([f"{stem}.png", f"{stem}_mask.png"], first_seed=seed)
            seed += 2
    write_images(["Dataset_BUSI_with_GT/benign/benign (4)_mask_1.png"], first_seed=seed)


def make_pcam() -> None:
    Path("pcam").mkdir()
    slide = 0
    for seed, (split, n) in enumerate((("train", 24), ("valid", 8), ("test", 8))):
        stem = f"pcam/camelyonpatch_level_2_split_{split}"
        patches = np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)
        with h5py.File(f"{stem}_x.h5", "w") as file:
            file.create_dataset("x", data=patches, chunks=(4, SIDE, SIDE, 3))
        with h5py.File(f"{stem}_y.h5", "w") as file:
            file["y"] = (np.arange(n) % 2).astype(np.uint8).reshape(n, 1, 1, 1)
        slides = (f"camelyon16_train_tumor_{slide + i // 4:03}" for i in range(n))
        rows = [{"coord_y": i, "coord_x": 7, "wsi": wsi} for i, wsi in enumerate(slides)]
        write_table(f"{stem}_meta.csv", rows)
        slide += n // 4


def make_brain_mri() -> None:
    names = [*(f"yes/Y{i}.jpg" for i in range(1, 13)), *(f"no/{i} no.jpeg" for i in range(1, 11))]
    write_images(f"brain_mri/{name}" for name in names)
    for name in names:
        copy_file(f"brain_mri/{name}", f"brain_mri/brain_tumor_dataset/{name}")


def make_brain_tumors() -> None:
    kinds = {"glioma": "gl", "meningioma": "me", "notumor": "no", "pituitary": "pi"}
    for kind, short in kinds.items():
        names = [f"Training/{kind}/Tr-{short}_{i:04}.jpg" for i in range(10)]
        names += [f"Testing/{kind}/Te-{short}_{i:04}.jpg" for i in range(4)]
        write_images((f"brain_tumor_mri/{it}" for it in names), first_seed=100 * len(kind))
    grid = np.add.outer(np.arange(64) % 37 * 4, np.arange(64) * 2).astype(np.uint8)
    write_image("brain_tumor_mri/Training/glioma/Tr-gl_0900.png", grid)
    write_image("brain_tumor_mri/Testing/glioma/Te-gl_0900.png", grid[:, ::-1])


def make_covid() -> None:
    root = "COVID-19_Radiography_Dataset"
    for n, kind in enumerate(("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")):
        names = [f"{kind}-{i}.png" for i in range(1, 9)]
        write_images((f"{root}/{kind}/images/{name}" for name in names), first_seed=20 * n)
        write_images((f"{root}/{kind}/masks/{name}" for name in names), first_seed=20 * n + 10)
        book = Workbook()
        book.active.append(["FILE NAME", "FORMAT", "SIZE", "URL"])
        book.save(f"{root}/{kind}.metadata.xlsx")
    write_text(f"{root}/README.md.txt", "COVID-19 CHEST X-RAY DATABASE")


def make_mura() -> None:
    seed = 0
    for split, patients in (("train", range(1, 17)), ("valid", range(11185, 11190))):
        for patient in patients:
            for part in ("XR_ELBOW", "XR_HAND"):
                label = "positive" if (patient + (part == "XR_HAND")) % 2 else "negative"
                folder = f"MURA-v1.1/{split}/{part}/patient{patient:05}/study1_{label}"
                write_images([f"{folder}/image1.png", f"{folder}/image2.png"], first_seed=seed)
                Path(folder, "._image1.png").write_bytes(b"Mac OS X")
                seed += 2
    write_text("MURA-v1.1/train_image_paths.csv", "MURA-v1.1/train/XR_ELBOW/patient00001/x.png")
    write_text("MURA-v1.1/train_labeled_studies.csv", "MURA-v1.1/train/XR_ELBOW/patient00001/,1")


def make_aptos() -> None:
    names = [f"{i * 7919:012x}" for i in range(1, 31)]
    write_images(f"train_images/{name}.png" for name in names)
    write_images([f"test_images/{i:012x}.png" for i in range(5)], first_seed=90)
    write_table("train.csv", [{"id_code": it, "diagnosis": i % 5} for i, it in enumerate(names)])
    write_table("test.csv", [{"id_code": f"{i:012x}"} for i in range(5)])
    write_table("sample_submission.csv", [{"id_code": "0", "diagnosis": 0}])


def make_oct() -> None:
    seed = 0
    for n, kind in enumerate(("CNV", "DME", "DRUSEN", "NORMAL")):
        for patient in range(8):
            for split, images in (("train", (1, 2, 3)), ("test", (4,) if patient % 3 == 0 else ()),
                                  ("val", (9,) if patient == 1 else ())):  # fmt: skip
                stem = f"OCT2017 /{split}/{kind}/{kind}-{1016042 + 10 * n + patient}"
                write_images([f"{stem}-{i}.jpeg" for i in images], first_seed=seed)
                seed += len(images)
    write_text("OCT2017 /.DS_Store", "")


def make_chest_xray() -> None:
    names = [f"train/NORMAL/IM-{115 + i:04}-0001.jpeg" for i in range(12)]
    names += [f"train/PNEUMONIA/person{i}_bacteria_{i + k}.jpeg" for i in range(8) for k in (0, 9)]
    names += [f"test/NORMAL/NORMAL2-IM-{379 + i:04}-0001.jpeg" for i in range(4)]
    names += [f"test/PNEUMONIA/person{i}_virus_{i}.jpeg" for i in range(5, 10)]
    names += [f"val/NORMAL/NORMAL2-IM-{1427 + i}-0001.jpeg" for i in range(2)]
    names += [f"val/PNEUMONIA/person{1946 + i}_bacteria_4874.jpeg" for i in range(2)]
    write_images(f"chest_xray/{name}" for name in names)
    for name in names:
        copy_file(f"chest_xray/{name}", f"chest_xray/chest_xray/{name}")
        folder, _, file = name.rpartition("/")
        write_text(f"chest_xray/__MACOSX/chest_xray/{folder}/._{file}", "Mac OS X")
    write_text("chest_xray/chest_xray/.DS_Store", "")


def make_iq_oth() -> None:
    root = "The IQ-OTHNCCD lung cancer dataset"
    for n, kind in enumerate(("Bengin", "Malignant", "Normal")):
        names = (f"{root}/{kind} cases/{kind} case ({i}).jpg" for i in range(1, 10))
        write_images(names, first_seed=20 * n)
    write_images((f"{root}/Test cases/Case ({i}).jpg" for i in range(1, 5)), first_seed=90)
    write_text(f"{root}/IQ-OTH_NCCD lung cancer.txt", "The dataset contains 1190 images")


ALL = "all"
SETS: dict[str, list[tuple[Make, dict[str, dict[str, int]], int]]] = {
    "NIH ChestX-ray14": [
        (make_nih, {"train": {"Pneumonia": 18, "not Pneumonia": 18},
                    "test": {"Pneumonia": 6, "not Pneumonia": 6}}, 16),
    ],
    "RSNA pneumonia": [(make_rsna, {ALL: {"0": 12, "1": 12}}, 24)],
    "CheXpert": [(make_chexpert, {ALL: {"0": 12, "1": 12}}, 12)],
    "HAM10000": [(make_ham, {ALL: {"bkl": 12, "mel": 12, "nv": 12}}, 18)],
    "ISIC 2019 and 2020": [
        (make_isic_2019, {ALL: {"BCC": 10, "MEL": 10, "NV": 10}}, 14),
        (make_isic_2020, {ALL: {"benign": 24, "malignant": 6}}, 10),
    ],
    "BreakHis": [
        (make_breakhis, {ALL: {"benign": 24, "malignant": 24}}, 24),
        (make_breakhis, {ALL: {f"{kind[0].upper()}_{short}": 6
                               for kind, tumors in TUMORS.items() for short in tumors}}, 24),
    ],
    "PatchCamelyon": [
        (make_pcam, {"train": {"0": 12, "1": 12}, "val": {"0": 4, "1": 4},
                     "test": {"0": 4, "1": 4}}, 10),
    ],
    "BUSI": [(make_busi, {ALL: {"benign": 10, "malignant": 10, "normal": 10}}, 0)],
    "Brain MRI": [
        (make_brain_mri, {ALL: {"no": 10, "yes": 12}}, 0),
        (make_brain_tumors, {
            "train": {"glioma": 11, "meningioma": 10, "notumor": 10, "pituitary": 10},
            "test": {"glioma": 5, "meningioma": 4, "notumor": 4, "pituitary": 4},
        }, 0),
    ],
    "COVID-19 radiography": [
        (make_covid, {ALL: {"COVID": 8, "Lung_Opacity": 8, "Normal": 8, "Viral Pneumonia": 8}}, 0),
    ],
    "MURA": [
        (make_mura, {"train": {"negative": 32, "positive": 32},
                     "val": {"negative": 10, "positive": 10}}, 21),
    ],
    "APTOS 2019": [(make_aptos, {ALL: {str(grade): 6 for grade in range(5)}}, 0)],
    "OCT2017": [(make_oct, {ALL: dict.fromkeys(("CNV", "DME", "DRUSEN", "NORMAL"), 28)}, 32)],
    "Chest X-ray pneumonia": [(make_chest_xray, {ALL: {"NORMAL": 18, "PNEUMONIA": 23}}, 30)],
    "IQ-OTH/NCCD": [
        (make_iq_oth, {ALL: {"Bengin cases": 9, "Malignant cases": 9, "Normal cases": 9}}, 0),
    ],
}  # fmt: skip
"""For each command of a set: what lays out the images, their counts, and that of their groups."""
CASES = [(name, number) for name, cases in SETS.items() for number in range(len(cases))]


def inspect(call: Call, arguments: Sequence[str]) -> dict[str, Any]:
    code, out, err = call(*arguments, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_page_has_a_command_for_every_set() -> None:
    assert {name: len(it) for name, it in commands_by_set().items()} == {
        name: len(cases) for name, cases in SETS.items()
    }
    rows = re.findall(r"^\| \[?([^|\]]+?)[\]( ]", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {row for row in rows if row != "set" and "-" * 3 not in row}
    assert len(named) == len(SETS)


@pytest.mark.parametrize(("name", "number"), CASES, ids=[f"{it[0]} {it[1] + 1}" for it in CASES])
def test_set_loads_by_the_command_of_the_page(call: Call, name: str, number: int) -> None:
    make, counts, n_groups = SETS[name][number]
    make()
    found = inspect(call, commands_by_set()[name][number])
    assert found["counts"] == counts
    assert found["n_groups"] == n_groups
    assert found["broken"] == {}
    assert not any("a search would not start" in it for it in found["warnings"])
    used = Counter({split: sum(it.values()) for split, it in found["used"].items()})
    assert min(used.values()) > 0


@pytest.mark.parametrize("name", ["BreakHis", "OCT2017"])
def test_patients_of_a_set_are_proposed(call: Call, name: str) -> None:
    """BreakHis has each patient at four magnifications, in folders of the same names."""
    make, _, n_groups = SETS[name][0]
    make()
    found = inspect(call, commands_by_set()[name][0][:3])
    assert found["n_groups"] == 0
    assert any(f" finds {n_groups}, the largest of " in it for it in found["warnings"])
