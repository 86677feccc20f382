"""Writing a found network for use without this program: SavedModel, TFLite and Keras files, each verified.

`plan` names what is written, `saved_model` and `tflite` write it, `verification` runs it again, and `network` does all
of that and puts it in place.
"""
