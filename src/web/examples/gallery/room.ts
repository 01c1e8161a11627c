// The gallery's room: its measures, where the frames hang, and every surface as triangles.
import { vec3 } from "gl-matrix";

/** A point or direction, in metres; y is up. */
export type Vec3 = [x: number, y: number, z: number];

/** Half the hall's length and width, and its whole height. */
export const hall = { x: 7, z: 4.5, height: 4.2 };

/** Side of a picture, and half the outer side of its frame. */
export const pictureSide = 1.3;
export const frameReach = 0.86;

/** Where a frame hangs. */
export interface Place {
  readonly center: Vec3;
  /** Away from the wall. */
  readonly normal: Vec3;
}

const hangingHeight = 1.65;

/** Ten frames: four on each long wall, two at the end. */
export const places: readonly Place[] = [
  ...[-4.5, -1.5, 1.5, 4.5].map((x): Place => ({ center: [x, hangingHeight, -hall.z], normal: [0, 0, 1] })),
  ...[-1.7, 1.7].map((z): Place => ({ center: [hall.x, hangingHeight, z], normal: [-1, 0, 0] })),
  ...[4.5, 1.5, -1.5, -4.5].map((x): Place => ({ center: [x, hangingHeight, hall.z], normal: [0, 0, -1] })),
];

/** The label atlas has a cell for each frame and, last, one for the title on the wall. */
export const titleCell = places.length;

/** What a surface is made of: the numbers that `room.wgsl` branches on. */
const material = {
  wall: 0,
  floor: 1,
  ceiling: 2,
  wood: 3,
  picture: 4,
  mat: 5,
  label: 6,
  leather: 7,
  metal: 8,
  title: 9,
};

/** Floats of one vertex: position, normal, uv, material, slot. */
export const vertexFloats = 10;

/** Triangles, the floor's first: the floor is drawn between the mirrored room below it and the room itself. */
export interface RoomMesh {
  readonly vertices: Float32Array<ArrayBuffer>;
  readonly floorVertices: number;
}

/** Builds the whole room; everything else about it is in the shader. */
export function roomMesh(): RoomMesh {
  const out: number[] = [];
  const { x, z, height } = hall;
  quad(out, [-x, 0, -z], [2 * x, 0, 0], [0, 0, 2 * z], [0, 1, 0], material.floor);
  const floorVertices = out.length / vertexFloats;
  quad(out, [-x, height, -z], [2 * x, 0, 0], [0, 0, 2 * z], [0, -1, 0], material.ceiling);
  for (const side of [-1, 1]) {
    quad(out, [-x, 0, side * z], [2 * x, 0, 0], [0, height, 0], [0, 0, -side], material.wall);
    quad(out, [side * x, 0, -z], [0, 0, 2 * z], [0, height, 0], [-side, 0, 0], material.wall);
  }
  places.forEach((place, slot) => {
    frame(out, place, slot);
  });
  quad(out, [-x + 0.002, 2.6, 1.8], [0, 0, -3.6], [0, -1.35, 0], [1, 0, 0], material.title, titleCell);
  bench(out);
  return { vertices: new Float32Array(out), floorVertices };
}

/** The lamp of a frame hangs before it from the ceiling; `room.wgsl` puts the light there too. */
export const lampReach = 1.25;
const lampDrop = 0.3;

function frame(out: number[], { center, normal }: Place, slot: number): void {
  const right: Vec3 = [normal[2], 0, -normal[0]];
  const at = (x: number, y: number, depth: number) =>
    plus(plus([center[0], center[1] + y, center[2]], right, x), normal, depth);
  const inner = pictureSide / 2 + 0.12;
  const flat = (half: number, depth: number, kind: number) =>
    facing(
      out,
      [at(-half, half, depth), at(half, half, depth), at(half, -half, depth), at(-half, -half, depth)],
      kind,
      slot,
    );
  flat(inner, 0.008, material.mat);
  flat(pictureSide / 2, 0.012, material.picture);
  // Four mitred bars, each the first one turned: a sloping face, its outer edge and its inner lip.
  for (let turn = 0; turn < 4; turn++) {
    const [cos, sin] = [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ][turn];
    const bar = (x: number, y: number, depth: number) => at(x * cos - y * sin, x * sin + y * cos, depth);
    const strip = (y0: number, z0: number, y1: number, z1: number) =>
      facing(
        out,
        [bar(-y0, y0, z0), bar(y0, y0, z0), bar(y1, y1, z1), bar(-y1, y1, z1)],
        material.wood,
        slot + turn / 4,
      );
    strip(frameReach, 0, frameReach, 0.06);
    strip(frameReach, 0.06, inner, 0.035);
    strip(inner, 0.035, inner, 0.008);
  }
  const [left, top] = [frameReach + 0.13, -frameReach + 0.24];
  const label: Corners = [
    at(left, top, 0.01),
    at(left + 0.56, top, 0.01),
    at(left + 0.56, top - 0.21, 0.01),
    at(left, top - 0.21, 0.01),
  ];
  facing(out, label, material.label, slot);
  const lamp = at(0, hall.height - lampDrop - hangingHeight, lampReach);
  box(out, [lamp[0], lamp[1] + 0.1, lamp[2]], [0.05, 0.09, 0.05], material.metal);
  box(out, [lamp[0], hall.height - 0.06, lamp[2]], [0.012, 0.06, 0.012], material.metal);
}

function bench(out: number[]): void {
  box(out, [0, 0.43, 0], [1.3, 0.06, 0.3], material.leather);
  for (const x of [-1.1, 1.1]) box(out, [x, 0.19, 0], [0.04, 0.19, 0.26], material.metal);
}

function box(out: number[], [x, y, z]: Vec3, [a, b, c]: Vec3, kind: number): void {
  for (const s of [-1, 1]) {
    quad(out, [x + s * a, y - b, z - c], [0, 2 * b, 0], [0, 0, 2 * c], [s, 0, 0], kind);
    quad(out, [x - a, y + s * b, z - c], [2 * a, 0, 0], [0, 0, 2 * c], [0, s, 0], kind);
    quad(out, [x - a, y - b, z + s * c], [2 * a, 0, 0], [0, 2 * b, 0], [0, 0, s], kind);
  }
}

function quad(out: number[], corner: Vec3, u: Vec3, v: Vec3, normal: Vec3, kind: number, slot = 0): void {
  triangles(out, [corner, plus(corner, u), plus(plus(corner, u), v), plus(corner, v)], normal, kind, slot);
}

/** Corners from the top left, clockwise as seen from the front. */
function facing(out: number[], corners: Corners, kind: number, slot: number): void {
  const [a, b, , d] = corners;
  const normal = vec3.cross([0, 0, 0], vec3.sub([0, 0, 0], d, a), vec3.sub([0, 0, 0], b, a));
  triangles(out, corners, vec3.normalize(normal, normal), kind, slot);
}

type Corners = readonly [Vec3, Vec3, Vec3, Vec3];

// uv runs from the first corner to the second (u) and to the fourth (v).
function triangles(out: number[], corners: Corners, normal: vec3, kind: number, slot: number): void {
  const uv = [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 1],
  ];
  for (const i of [0, 1, 2, 0, 2, 3]) out.push(...corners[i], ...normal, ...uv[i], kind, slot);
}

function plus(a: Vec3, b: Vec3, times = 1): Vec3 {
  return [a[0] + b[0] * times, a[1] + b[1] * times, a[2] + b[2] * times];
}
