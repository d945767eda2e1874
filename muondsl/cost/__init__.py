"""What a step costs on a GPU, modelled: FLOPs, bytes, launches and the time that a roofline gives them.

In come a spec, the shapes of parameters and a device, out goes an estimate beside that of the same step made of torch's
own operators; nothing is run, and no device is asked.
"""
