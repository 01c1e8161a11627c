// The scene: an object on a plinth, light from a window, a camera that orbits. Plain three.js.
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { RoundedBoxGeometry } from "three/addons/geometries/RoundedBoxGeometry.js";
import {
  type BufferGeometry,
  CylinderGeometry,
  DirectionalLight,
  type ExternalTexture,
  HemisphereLight,
  Mesh,
  MeshPhysicalMaterial,
  MeshStandardMaterial,
  PerspectiveCamera,
  PlaneGeometry,
  Scene,
  ShadowMaterial,
  SphereGeometry,
  TorusGeometry,
  type WebGPURenderer,
} from "three/webgpu";

/** What can wear the picture. */
export type Shape = "block" | "ball" | "ring";

/** A scene on a renderer's canvas. */
export interface Stage {
  render(now: number): void;
  show(shape: Shape): void;
  /** Gives the object a texture whose first row is its top. */
  wear(map: ExternalTexture): void;
}

const shapes: Record<Shape, () => BufferGeometry> = {
  block: () => new RoundedBoxGeometry(1.5, 1.5, 1.5, 6, 0.12),
  ball: () => new SphereGeometry(0.92, 64, 48),
  ring: () => new TorusGeometry(0.68, 0.34, 48, 96),
};

/** Radians a second. */
const turning = 0.35;

/** Builds the scene; it follows the size of its canvas. */
export function createStage(renderer: WebGPURenderer): Stage {
  const scene = new Scene();
  const object = new Mesh(
    shapes.block(),
    new MeshPhysicalMaterial({ color: "#d9d2c4", roughness: 0.5, clearcoat: 0.6 }),
  );
  object.castShadow = true;
  stand(object);
  scene.add(object, plinth(), ground(), ...lights());
  renderer.shadowMap.enabled = true;

  const camera = new PerspectiveCamera(32, 1, 0.1, 50);
  camera.position.set(3.4, 2.7, 6.4);
  const controls = new OrbitControls(camera, renderer.domElement);
  controls.target.set(0, 0.35, 0);
  controls.enableDamping = true;
  controls.enablePan = false;
  controls.maxPolarAngle = 1.6;
  controls.minDistance = 3;
  controls.maxDistance = 14;
  controls.listenToKeyEvents(renderer.domElement);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let before = 0;

  return {
    render(now) {
      fitToScreen(renderer, camera);
      if (!still.matches) object.rotation.y += (turning * (now - before)) / 1000;
      before = now;
      controls.update();
      renderer.render(scene, camera);
    },
    show(shape) {
      object.geometry.dispose();
      object.geometry = shapes[shape]();
      stand(object);
    },
    wear(map) {
      // three.js counts v upwards, a picture's rows run downwards.
      map.repeat.y = -1;
      map.offset.y = 1;
      map.generateMipmaps = false;
      object.material.map = map;
      object.material.color.set("#ffffff");
      object.material.needsUpdate = true;
    },
  };
}

function stand(object: Mesh): void {
  object.geometry.computeBoundingBox();
  object.position.y = -object.geometry.boundingBox!.min.y;
}

function plinth(): Mesh {
  const mesh = new Mesh(
    new CylinderGeometry(1.4, 1.44, 0.16, 96),
    new MeshStandardMaterial({ color: "#b3aa9b", roughness: 0.7 }),
  );
  mesh.position.y = -0.08;
  mesh.receiveShadow = true;
  mesh.castShadow = true;
  return mesh;
}

// Shows nothing but the shadow, so that the page's own colour, light or dark, is the floor.
function ground(): Mesh {
  const mesh = new Mesh(new PlaneGeometry(30, 30), new ShadowMaterial({ opacity: 0.28 }));
  mesh.rotation.x = -Math.PI / 2;
  mesh.position.y = -0.16;
  mesh.receiveShadow = true;
  return mesh;
}

function lights(): (HemisphereLight | DirectionalLight)[] {
  const sun = new DirectionalLight("#fff4e4", 2.4);
  sun.position.set(3, 5, 3.5);
  sun.castShadow = true;
  sun.shadow.mapSize.set(1024, 1024);
  sun.shadow.radius = 6;
  sun.shadow.normalBias = 0.03;
  Object.assign(sun.shadow.camera, { left: -3, right: 3, top: 3, bottom: -3, near: 1, far: 14 });
  const rim = new DirectionalLight("#a9c8ff", 0.9);
  rim.position.set(-4, 2, -3);
  return [new HemisphereLight("#f2f5ff", "#b0a290", 2.2), sun, rim];
}

function fitToScreen(renderer: WebGPURenderer, camera: PerspectiveCamera): void {
  const { clientWidth: width, clientHeight: height } = renderer.domElement;
  if (camera.userData.width === width && camera.userData.height === height) return;
  Object.assign(camera.userData, { width, height });
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  renderer.setSize(width, height, false);
  camera.aspect = width / height;
  // A narrow window sees as much sideways as a square one.
  camera.zoom = Math.min(1, camera.aspect);
  camera.updateProjectionMatrix();
}
