"""DICOM files: what their headers say, the pixels of a frame, and the images of a folder of them.

The only room that imports pydicom. No identifier of a patient leaves it: groups are numbers.
"""
