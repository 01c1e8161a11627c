// A small picture on a canvas.
import { useEffect, useRef } from "preact/hooks";
import type { Picture } from "../../index.ts";

/** A tile's pixels, or an empty square until they are there. */
export function Tile({ picture, alt }: { picture: Picture | undefined; alt: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (!picture || !canvas.current) return;
    const { width, height, pixels } = picture;
    const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
    canvas.current.getContext("2d")?.putImageData(image, 0, 0);
  }, [picture]);
  return <canvas ref={canvas} class="tile" width={64} height={64} role="img" aria-label={alt} />;
}
