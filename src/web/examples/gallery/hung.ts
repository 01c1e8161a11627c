// The pictures that hang when the doors open: each drawn by `reimagen generate PROMPT --steps 20 --seed 3`.

/** A finished picture, and the prompt for its label. */
export interface HungPicture {
  readonly prompt: string;
  readonly url: URL;
}

/** In the order of the frames. */
export const hung: readonly HungPicture[] = [
  { prompt: "a fox in the snow", url: new URL("./hung/fox-in-the-snow.png", import.meta.url) },
  { prompt: "a pineapple on the beach", url: new URL("./hung/pineapple-on-the-beach.png", import.meta.url) },
  { prompt: "a red apple on a wooden table", url: new URL("./hung/red-apple-on-a-wooden-table.png", import.meta.url) },
  { prompt: "a frog in the rain", url: new URL("./hung/frog-in-the-rain.png", import.meta.url) },
  { prompt: "a honey pot on the moon", url: new URL("./hung/honey-pot-on-the-moon.png", import.meta.url) },
  { prompt: "a cactus in the desert", url: new URL("./hung/cactus-in-the-desert.png", import.meta.url) },
  {
    prompt: "a strawberry on a checkered background",
    url: new URL("./hung/strawberry-on-a-checkered-background.png", import.meta.url),
  },
];
