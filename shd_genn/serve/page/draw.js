// Pictures of sound, spikes and voltages. All share their time axis, from 0 to `end` in ms.

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function prepare(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

export function waveform(canvas, parts, duration, end, now) {
  const { pen, width, height } = prepare(canvas);
  const highest = Math.max(1e-9, ...parts.flat().map(Math.abs));
  pen.strokeStyle = style("--ink");
  pen.beginPath();
  parts.forEach(([low, high], i) => {
    const t = (i / parts.length) * duration;
    if (t > now) return;
    const x = (t / end) * width, y = (v) => height / 2 - (v / highest) * (height / 2 - 1);
    pen.moveTo(x, y(low) + 0.5);
    pen.lineTo(x, y(high) - 0.5);
  });
  pen.stroke();
}

export function raster(canvas, { times_ms, neurons, size }, end, now, downwards) {
  const { pen, width, height } = prepare(canvas);
  pen.fillStyle = style("--ink");
  const tall = Math.max(1, Math.min(4, (height / size) * 0.8));
  times_ms.forEach((t, i) => {
    if (t > now || t > end) return;
    const part = (neurons[i] + 0.5) / size;
    pen.fillRect((t / end) * width, (downwards ? part : 1 - part) * height - tall / 2, 1, tall);
  });
}

export function voltages(canvas, answer, end, now) {
  const { pen, width, height } = prepare(canvas);
  const all = answer.voltages.flat();
  const low = Math.min(0, ...all), high = Math.max(1e-9, ...all);
  const y = (v) => height - 2 - ((v - low) / (high - low)) * (height - 4);
  const line = (values, colour, thick) => {
    pen.strokeStyle = colour; pen.lineWidth = thick;
    pen.beginPath();
    values.forEach((v, i) => {
      const t = answer.times_ms[i];
      if (t <= now && t <= end) pen.lineTo((t / end) * width, y(v));
    });
    pen.stroke();
  };
  answer.voltages.forEach((v, i) => { if (i !== answer.best) line(v, style("--line"), 1); });
  line(answer.voltages[answer.best], style("--accent"), 2);
}
