// Walking: keys, dragging, and going up to a picture or to a spot on the floor that is tapped.
import { mat4, vec3, vec4 } from "gl-matrix";
import type { Eye } from "./renderer.ts";
import { frameReach, hall, type Place, places, type Vec3 } from "./room.ts";

const eyeHeight = 1.62;
const pace = 2.6; // metres a second
const turning = 1.7; // radians a second
const margin = 0.6; // metres kept from walls

/** A walker in the hall. */
export interface Walker {
  /** Moves on by `seconds`, and says where one looks from. */
  step(seconds: number, aspect: number): Eye;
  /** Walks up to a frame. */
  goTo(slot: number): void;
  /** Walks on to the frame `by` places further along the walls. */
  tour(by: number): void;
}

interface Pose {
  x: number;
  z: number;
  /** Radians: 0 looks along -z, positive to the right. */
  yaw: number;
  pitch: number;
}

/** Listens to the canvas's pointers, and to keys wherever nothing else takes them. */
export function createWalker(canvas: HTMLCanvasElement, start: Pose): Walker {
  const pose = { ...start };
  const held = new Set<string>();
  let goal: Pose | undefined;
  let clip = mat4.create();
  let aspect = 1;
  let visited = 0;

  document.addEventListener("keydown", (event) => {
    const typing = (event.target as Element).closest("form, a");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.code in steps)) return;
    event.preventDefault();
    held.add(event.code);
    goal = undefined;
  });
  document.addEventListener("keyup", ({ code }) => held.delete(code));
  window.addEventListener("blur", () => held.clear());

  let dragged = 0;
  canvas.addEventListener("pointerdown", ({ pointerId }) => {
    canvas.setPointerCapture(pointerId);
    dragged = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || !event.isPrimary) return;
    dragged += Math.hypot(event.movementX, event.movementY);
    if (dragged < 4) return;
    goal = undefined;
    const radiansPerPixel = 2.2 / canvas.clientHeight;
    pose.yaw -= event.movementX * radiansPerPixel;
    pose.pitch = clamp(pose.pitch + event.movementY * radiansPerPixel, -1.2, 1.2);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!event.isPrimary || dragged >= 4) return;
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 2 - 1;
    const y = 1 - ((event.clientY - box.top) / box.height) * 2;
    goal = destination(pose, rayThrough(clip, x, y, pose), aspect);
  });

  function step(seconds: number, ratio: number): Eye {
    aspect = ratio;
    if (goal && approach(pose, goal, seconds)) goal = undefined;
    for (const code of held) {
      const [ahead, aside, turn] = steps[code];
      pose.yaw += turn * turning * seconds;
      pose.x += (Math.sin(pose.yaw) * ahead + Math.cos(pose.yaw) * aside) * pace * seconds;
      pose.z += (-Math.cos(pose.yaw) * ahead + Math.sin(pose.yaw) * aside) * pace * seconds;
    }
    pose.x = clamp(pose.x, margin - hall.x, hall.x - margin);
    pose.z = clamp(pose.z, margin - hall.z, hall.z - margin);
    clip = clipFrom(pose, ratio);
    return { at: [pose.x, eyeHeight, pose.z], clip };
  }

  function goTo(slot: number): void {
    visited = slot;
    goal = before(places[slot], aspect);
  }

  return { step, goTo, tour: (by) => goTo((visited + by + places.length) % places.length) };
}

/** Ahead, aside and turn of each key. */
const steps: Record<string, readonly [number, number, number]> = {
  KeyW: [1, 0, 0],
  ArrowUp: [1, 0, 0],
  KeyS: [-1, 0, 0],
  ArrowDown: [-1, 0, 0],
  KeyA: [0, -1, 0],
  KeyD: [0, 1, 0],
  KeyQ: [0, 0, -1],
  ArrowLeft: [0, 0, -1],
  KeyE: [0, 0, 1],
  ArrowRight: [0, 0, 1],
};

const fieldOfView = 1.05;

function clipFrom({ x, z, yaw, pitch }: Pose, aspect: number): mat4 {
  const ahead: Vec3 = [Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), -Math.cos(yaw) * Math.cos(pitch)];
  const eye: Vec3 = [x, eyeHeight, z];
  const view = mat4.lookAt(mat4.create(), eye, vec3.add([0, 0, 0], eye, ahead), [0, 1, 0]);
  return mat4.multiply(view, mat4.perspectiveZO(mat4.create(), fieldOfView, aspect, 0.05, 40), view);
}

function rayThrough(clip: mat4, x: number, y: number, { x: eyeX, z: eyeZ }: Pose): Vec3 {
  const far = vec4.transformMat4(vec4.create(), [x, y, 1, 1], mat4.invert(mat4.create(), clip)!);
  return vec3.normalize(
    [0, 0, 0],
    [far[0] / far[3] - eyeX, far[1] / far[3] - eyeHeight, far[2] / far[3] - eyeZ],
  ) as Vec3;
}

/** What a tap means: the frame that the ray meets, or the spot on the floor. */
function destination(pose: Pose, ray: Vec3, aspect: number): Pose | undefined {
  for (const place of places) {
    const toward = vec3.dot(ray, place.normal);
    if (toward >= 0) continue;
    const offset: Vec3 = [place.center[0] - pose.x, place.center[1] - eyeHeight, place.center[2] - pose.z];
    const distance = vec3.dot(offset, place.normal) / toward;
    const hit = vec3.sub([0, 0, 0], vec3.scale([0, 0, 0], ray, distance), offset);
    if (Math.max(...Array.from(hit, Math.abs)) < frameReach) return before(place, aspect);
  }
  if (ray[1] > -0.05) return undefined;
  const distance = -eyeHeight / ray[1];
  return { ...pose, x: pose.x + ray[0] * distance, z: pose.z + ray[2] * distance };
}

/** Before a frame, as near as it and, where the window is narrow, the label beside it fit. */
function before({ center, normal }: Place, aspect: number): Pose {
  const aside = aspect < 1 ? 0.35 : 0;
  const distance = Math.max(2.4, (frameReach + 0.42) / (Math.tan(fieldOfView / 2) * aspect));
  return {
    x: center[0] + normal[0] * distance + normal[2] * aside,
    z: center[2] + normal[2] * distance - normal[0] * aside,
    yaw: Math.atan2(-normal[0], normal[2]),
    pitch: 0,
  };
}

// Half of the way in a sixth of a second; at once for those who do not want motion.
function approach(pose: Pose, goal: Pose, seconds: number): boolean {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const share = still ? 1 : 1 - 0.5 ** (seconds / 0.22);
  const turn = Math.atan2(Math.sin(goal.yaw - pose.yaw), Math.cos(goal.yaw - pose.yaw));
  pose.x += (goal.x - pose.x) * share;
  pose.z += (goal.z - pose.z) * share;
  pose.yaw += turn * share;
  pose.pitch += (goal.pitch - pose.pitch) * share;
  return Math.hypot(goal.x - pose.x, goal.z - pose.z) + Math.abs(turn) < 0.004;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
