"""The phantom: synthetic chest radiographs and CT whose lesions, boxes and appearance words are known exactly."""
