// The drawing pad: a brush, and pictures that are opened, dropped or pasted.

/** A canvas to draw on; what is on it is the neighbour. */
export interface Pad {
  readonly canvas: HTMLCanvasElement;
  /** Puts a picture on the pad, whole, on white. */
  show(image: ImageBitmap): void;
}

const inks = ["#1f1f24", "#d62828", "#f59628", "#fad746", "#46aa50", "#3264d2", "#8246b4", "#ffffff"];
const inkNames = ["black", "red", "orange", "yellow", "green", "blue", "purple", "white"];

/** Wires the elements of the page's form; `onPicture` hears of each picture that comes from outside. */
export function createPad(form: HTMLFormElement, onPicture: (name: string) => void): Pad {
  const canvas = form.querySelector("#pad") as HTMLCanvasElement;
  const brush = form.querySelector("#brush") as HTMLInputElement;
  const file = form.querySelector("#file") as HTMLInputElement;
  const context = canvas.getContext("2d")!;
  let ink = inks[0];

  function clear(): void {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  function show(image: ImageBitmap): void {
    clear();
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    context.imageSmoothingQuality = "high";
    context.drawImage(image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  }

  async function open(blob: File): Promise<void> {
    show(await createImageBitmap(blob));
    onPicture(blob.name.replace(/\.\w+$/, "").replace(/[-_]+/g, " "));
  }

  function stroke(event: PointerEvent): void {
    const scale = canvas.width / canvas.clientWidth;
    const [x, y] = [event.offsetX * scale, event.offsetY * scale];
    context.strokeStyle = ink;
    context.lineWidth = Number(brush.value);
    context.lineCap = "round";
    context.lineJoin = "round";
    context.lineTo(x, y);
    context.stroke();
    context.beginPath();
    context.moveTo(x, y);
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    context.beginPath();
    stroke(event);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const part of event.getCoalescedEvents()) stroke(part);
  });
  file.addEventListener("change", () => file.files?.[0] && open(file.files[0]));
  form.querySelector("#clear")!.addEventListener("click", clear);
  document.addEventListener("paste", ({ clipboardData }) => clipboardData?.files[0] && open(clipboardData.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer?.files[0]) open(event.dataTransfer.files[0]);
  });
  form.querySelector("#inks")!.append(
    ...inks.map((color, i) => {
      const swatch = document.createElement("input");
      Object.assign(swatch, { type: "radio", name: "ink", checked: i === 0, ariaLabel: inkNames[i] });
      swatch.style.setProperty("--ink", color);
      swatch.addEventListener("change", () => {
        ink = color;
      });
      return swatch;
    }),
  );
  clear();
  return { canvas, show };
}
