"""Writing a found network for use without this program: SavedModel, TFLite and Keras files, each verified.

`plan` names what is written, `saved_model` and `tflite` write it, `verification` runs it again, `staging` puts it in
place, and `export` does all of that.
"""
