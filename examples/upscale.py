#!/usr/bin/env python3
"""Upscales the video of a file and tells what happens: loading, batches, summary, warnings, errors with their
details.  Ctrl-C ends the film early, with a file that plays.

    upscale.py IN OUT.mkv [PRESET]
"""
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PIPELINE = """
    filesrc name=in ! decodebin ! videoconvert ! seedvr2upscale name=upscale ! videoconvert !
    x264enc speed-preset=veryfast ! matroskamux ! filesink name=out
"""


class Upscale:
    def __init__(self, source, target, preset=None):
        self.status = 0
        self.interrupted = False
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch_full(PIPELINE, None, Gst.ParseFlags.FATAL_ERRORS)
        self.pipeline.get_by_name("in").set_property("location", source)
        self.pipeline.get_by_name("out").set_property("location", target)
        self.upscale = self.pipeline.get_by_name("upscale")
        if preset and not self.upscale.load_preset(preset):
            sys.exit(f"no preset {preset}")
        self.bus = self.pipeline.get_bus()
        self.bus.add_signal_watch()
        for kind in ("progress", "element", "warning", "error", "eos"):
            self.bus.connect(f"message::{kind}", getattr(self, f"on_{kind}"))
        signal.signal(signal.SIGINT, self.on_interrupt)

    def run(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.show_stats()
        self.pipeline.set_state(Gst.State.NULL)
        self.bus.remove_signal_watch()
        return self.status

    def on_progress(self, _bus, message):
        kind, _code, text = message.parse_progress()
        print(text, end="\r" if kind == Gst.ProgressType.CONTINUE else "\n")

    def on_element(self, _bus, message):
        """The element's own messages; docs/element.md lists their fields."""
        s = message.get_structure()
        value = s.get_value
        if s.has_name("seedvr2-batch"):
            print(f"batch {value('batch')}: {value('frames')} frames at {value('timestamp') / 1e9:.2f} s, "
                  f"{value('fps'):.2f} frames/s")
        elif s.has_name("seedvr2-summary"):
            print(f"{value('frames')} frames in {value('time-total') / 1e9:.1f} s of computation, "
                  f"peak memory {value('vram-peak') / 1e6:.0f} MB")

    def on_warning(self, _bus, message):
        warning, _debug = message.parse_warning()
        print(f"warning: {warning.message}", file=sys.stderr)

    def on_error(self, _bus, message):
        """The text is for people, the details are for programs, the last is for who looks into it."""
        error, debug = message.parse_error()
        details = message.parse_error_details()
        print(f"{message.src.get_name()}: {error.message}", file=sys.stderr)
        if details and details.has_field("suggestion"):
            print(f"suggestion: {details.get_value('suggestion')}", file=sys.stderr)
        if details and details.has_field("vram-needed"):
            print(f"needed: {details.get_value('vram-needed')} bytes, "
                  f"available: {details.get_value('vram-available')}", file=sys.stderr)
        print(debug or "", file=sys.stderr)
        self.status = 1
        self.loop.quit()

    def on_eos(self, _bus, _message):
        self.loop.quit()

    def on_interrupt(self, _number, _frame):
        """The first Ctrl-C lets the frames that the element holds and the file be finished; what was decoded ahead is
        dropped.  The second does not wait."""
        if self.interrupted:
            self.status = 1
            self.loop.quit()
        else:
            print("finishing the frames at hand")
            pad = self.upscale.get_static_pad("sink")
            pad.add_probe(Gst.PadProbeType.BUFFER, lambda _pad, _info: Gst.PadProbeReturn.DROP)
            self.pipeline.send_event(Gst.Event.new_eos())
        self.interrupted = True

    def show_stats(self):
        value = self.upscale.get_property("stats").get_value
        if value("batches"):
            print(f"backend {value('backend')}, precision {value('precision')}")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    Gst.init(None)
    # lines appear as they are printed, also in a pipe
    sys.stdout.reconfigure(line_buffering=True)
    try:
        return Upscale(*sys.argv[1:]).run()
    except GLib.Error as error:
        sys.exit(error.message)


sys.exit(main())
