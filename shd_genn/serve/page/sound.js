// The microphone, WAV files, and finding words between silences.

export const LONGEST_S = 5;

/** A WAV file of 16-bit samples. */
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((l, i) => view.setUint8(at + i, l.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => view.setInt16(44 + 2 * i, 32767 * Math.max(-1, Math.min(1, x)), true));
  return new Blob([view], { type: "audio/wav" });
}

export function joined(chunks) {
  const all = new Float32Array(chunks.reduce((n, c) => n + c.length, 0));
  let at = 0;
  for (const chunk of chunks) { all.set(chunk, at); at += chunk.length; }
  return all;
}

export const level = (chunk) => Math.sqrt(chunk.reduce((sum, x) => sum + x * x, 0) / chunk.length);

export const STREAM_RATE = 16000;

/** Samples of 16 bits, little-endian, as the server takes a stream. */
export function pcm(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((x, i) => view.setInt16(2 * i, 32767 * Math.max(-1, Math.min(1, x)), true));
  return view.buffer;
}

/** Collects chunks and sends pieces of PIECE_S, one after the other, in their order. */
export class Pieces {
  constructor(send) {
    Object.assign(this, { send, chunks: [], length: 0, sending: Promise.resolve() });
  }

  take(chunk) {
    this.chunks.push(chunk);
    this.length += chunk.length;
    if (this.length < PIECE_S * STREAM_RATE) return;
    const piece = pcm(joined(this.chunks));
    Object.assign(this, { chunks: [], length: 0 });
    this.sending = this.sending.then(() => this.send(piece));
  }
}

/** The microphone; what it gives goes to `take(chunk, rate)`. */
export class Microphone {
  async open(take, sampleRate) {
    const processing = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: processing });
    const context = new AudioContext(sampleRate ? { sampleRate } : {});
    this.context = context;
    await this.context.audioWorklet.addModule("capture.js");
    const node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => take(data, context.sampleRate); // some come after close()
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.stream = this.context = undefined;
  }
}

const PIECE_S = 0.2;      // of a stream
const LOUDER = 4;         // times the background: a word
const PAUSE_S = 0.35;     // of silence ends a word
const SHORTEST_S = 0.12;  // a click is no word
const BEFORE_S = 0.15;    // kept of what came before a word

/** Cuts a stream into words; everything between them is silence. */
export class Words {
  constructor(heard, silent) {
    Object.assign(this, { heard, silent, background: 0.005, before: [], word: [], quiet: 0, loud: 0 });
  }

  take(chunk, rate) {
    const loudness = level(chunk), seconds = chunk.length / rate;
    const speaking = loudness > LOUDER * this.background;
    if (!speaking) this.background = Math.max(0.98 * this.background + 0.02 * loudness, 1e-4);
    if (speaking) { this.loud += seconds; this.quiet = 0; } else this.quiet += seconds;
    if (!this.word.length && !speaking) {
      this.before.push(chunk);
      while (this.before.length * seconds > BEFORE_S) this.before.shift();
      if (this.quiet > 2) { this.quiet = 0; this.silent(); }
      return;
    }
    if (!this.word.length) this.word = this.before.splice(0);
    this.word.push(chunk);
    const length = this.word.length * seconds;
    if (this.quiet < PAUSE_S && length < LONGEST_S) return;
    if (this.loud >= SHORTEST_S) this.heard(joined(this.word), rate);
    Object.assign(this, { word: [], before: [], loud: 0, quiet: 0 });
  }
}
