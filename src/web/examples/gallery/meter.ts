// The read-out in the corner: frames a second, and the last two seconds of frame times as a small chart.

/** Counts frames. */
export interface Meter {
  /** Call once a frame with its time; `note` is shown beside the figures. */
  frame(milliseconds: number, note: string): void;
}

const kept = 120;
const height = 28;
/** The chart's top, in milliseconds; the line across is a 60th of a second. */
const ceiling = 50;

/** Writes into an element with a canvas and an output. */
export function createMeter(chart: HTMLCanvasElement, words: HTMLElement): Meter {
  const times: number[] = [];
  const context = chart.getContext("2d")!;
  chart.width = kept * devicePixelRatio;
  chart.height = height * devicePixelRatio;
  let said = 0;

  function draw(): void {
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, kept, height);
    context.fillStyle = "#ffffff55";
    context.fillRect(0, height - (1000 / 60 / ceiling) * height, kept, 1);
    context.fillStyle = "#ffd9a0";
    times.forEach((time, i) => {
      const bar = Math.min(time / ceiling, 1) * height;
      context.fillRect(i, height - bar, 1, bar);
    });
  }

  return {
    frame(milliseconds, note) {
      times.push(milliseconds);
      if (times.length > kept) times.shift();
      draw();
      said += milliseconds;
      // Words that change faster than four times a second cannot be read.
      if (said < 250) return;
      said = 0;
      const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
      const worst = Math.max(...times);
      words.textContent = `${Math.round(1000 / mean)} fps · worst ${worst.toFixed(0)} ms${note && ` · ${note}`}`;
    },
  };
}
