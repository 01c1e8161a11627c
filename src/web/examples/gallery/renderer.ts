// Draws the gallery: one vertex buffer, two pipelines, three draws a frame into the app's own command encoder.
import type { mat4 } from "gl-matrix";
import { places, roomMesh, titleCell, type Vec3, vertexFloats } from "./room.ts";
import code from "./room.wgsl";

/** What changes about a frame on the wall. */
export interface FrameState {
  /** How far its lamp is up, 0 to 1. */
  lit: number;
  /** Whether it shows a picture. */
  filled: boolean;
}

/** Where one looks from. */
export interface Eye {
  readonly at: Vec3;
  /** World to clip space, z in [0, 1]. */
  readonly clip: mat4;
}

/** The gallery on a canvas. */
export interface Renderer {
  /** All pictures in one texture, rgba8unorm-srgb. */
  readonly pictures: GPUTexture;
  /** Top left corner of a frame's picture in it, in texels. */
  cell(slot: number): { x: number; y: number };
  /** Writes the label beside a frame. */
  label(slot: number, title: string, small: string): void;
  /** Encodes one frame. */
  draw(encoder: GPUCommandEncoder, eye: Eye, frames: readonly FrameState[]): void;
}

const samples = 4;
/** Side of the shipped model's pictures; `room.wgsl` knows it too. */
const side = 64;
const pictureColumns = 4;
const labelColumns = 2;
const labelSize = { width: 512, height: 192 };
const labelLevels = 4;

/** Makes everything that the gallery needs on the app's device. */
export function createRenderer(device: GPUDevice, canvas: HTMLCanvasElement): Renderer {
  const context = canvas.getContext("webgpu")!;
  const format = navigator.gpu.getPreferredCanvasFormat();
  context.configure({ device, format });

  const { vertices, floorVertices } = roomMesh();
  const mesh = device.createBuffer({
    size: vertices.byteLength,
    usage: GPUBufferUsage.VERTEX | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(mesh, 0, vertices);
  const view = device.createBuffer({ size: 80, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  const frameFloats = 8;
  const framesBuffer = device.createBuffer({
    size: places.length * frameFloats * 4,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });

  const pictures = device.createTexture({
    label: "pictures",
    size: [pictureColumns * side, Math.ceil(places.length / pictureColumns) * side],
    format: "rgba8unorm-srgb",
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
  });
  const labels = device.createTexture({
    label: "labels",
    size: [labelColumns * labelSize.width, Math.ceil((titleCell + 1) / labelColumns) * labelSize.height],
    mipLevelCount: labelLevels,
    format: "rgba8unorm-srgb",
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
  });

  const { room, floor } = pipelines(device, format);
  const bindings = device.createBindGroup({
    layout: room.getBindGroupLayout(0),
    entries: [
      { binding: 0, resource: { buffer: view } },
      { binding: 1, resource: { buffer: framesBuffer } },
      { binding: 2, resource: pictures.createView() },
      { binding: 3, resource: labels.createView() },
      {
        binding: 4,
        resource: device.createSampler({
          minFilter: "linear",
          magFilter: "linear",
          mipmapFilter: "linear",
          maxAnisotropy: 8,
        }),
      },
    ],
  });

  let targets: { color: GPUTexture; depth: GPUTexture } | undefined;
  function attachments(): { color: GPUTexture; depth: GPUTexture } {
    const { width, height } = canvas;
    if (targets?.color.width === width && targets.color.height === height) return targets;
    targets?.color.destroy();
    targets?.depth.destroy();
    const common = { size: [width, height], sampleCount: samples, usage: GPUTextureUsage.RENDER_ATTACHMENT };
    targets = {
      color: device.createTexture({ ...common, format }),
      depth: device.createTexture({ ...common, format: "depth24plus" }),
    };
    return targets;
  }

  function draw(encoder: GPUCommandEncoder, eye: Eye, frames: readonly FrameState[]): void {
    device.queue.writeBuffer(view, 0, new Float32Array([...eye.clip, ...eye.at, 1]));
    const values = frames.flatMap(({ lit, filled }, i) => [
      ...places[i].center,
      lit,
      ...places[i].normal,
      filled ? 1 : 0,
    ]);
    device.queue.writeBuffer(framesBuffer, 0, new Float32Array(values));
    const { color, depth } = attachments();
    const pass = encoder.beginRenderPass({
      label: "gallery",
      colorAttachments: [
        {
          view: color.createView(),
          resolveTarget: context.getCurrentTexture().createView(),
          loadOp: "clear",
          storeOp: "discard",
        },
      ],
      depthStencilAttachment: {
        view: depth.createView(),
        depthClearValue: 1,
        depthLoadOp: "clear",
        depthStoreOp: "discard",
      },
    });
    const rest = vertices.length / vertexFloats - floorVertices;
    pass.setBindGroup(0, bindings);
    pass.setVertexBuffer(0, mesh);
    pass.setPipeline(room);
    pass.draw(rest, 1, floorVertices, 1);
    pass.setPipeline(floor);
    pass.draw(floorVertices);
    pass.setPipeline(room);
    pass.draw(rest, 1, floorVertices, 0);
    pass.end();
  }

  return {
    pictures,
    cell: (slot) => ({ x: (slot % pictureColumns) * side, y: Math.floor(slot / pictureColumns) * side }),
    label: (slot, title, small) => writeLabel(device, labels, slot, title, small),
    draw,
  };
}

function pipelines(device: GPUDevice, format: GPUTextureFormat): { room: GPURenderPipeline; floor: GPURenderPipeline } {
  const module = device.createShaderModule({ label: "room", code });
  const visibility = GPUShaderStage.VERTEX | GPUShaderStage.FRAGMENT;
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility, buffer: {} },
      { binding: 1, visibility, buffer: {} },
      { binding: 2, visibility: GPUShaderStage.FRAGMENT, texture: {} },
      { binding: 3, visibility: GPUShaderStage.FRAGMENT, texture: {} },
      { binding: 4, visibility: GPUShaderStage.FRAGMENT, sampler: {} },
    ],
  });
  const shared = {
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    vertex: {
      module,
      entryPoint: "place",
      buffers: [
        {
          arrayStride: vertexFloats * 4,
          attributes: [
            { shaderLocation: 0, offset: 0, format: "float32x3" },
            { shaderLocation: 1, offset: 12, format: "float32x3" },
            { shaderLocation: 2, offset: 24, format: "float32x2" },
            { shaderLocation: 3, offset: 32, format: "float32" },
            { shaderLocation: 4, offset: 36, format: "float32" },
          ],
        },
      ],
    },
    depthStencil: { format: "depth24plus", depthWriteEnabled: true, depthCompare: "less" },
    multisample: { count: samples },
  } satisfies Omit<GPURenderPipelineDescriptor, "fragment">;
  // The floor lets through what it mirrors, which is drawn before it.
  const blend: GPUBlendState = {
    color: { srcFactor: "src-alpha", dstFactor: "one-minus-src-alpha" },
    alpha: { srcFactor: "zero", dstFactor: "one" },
  };
  return {
    room: device.createRenderPipeline({ ...shared, fragment: { module, entryPoint: "shade", targets: [{ format }] } }),
    floor: device.createRenderPipeline({
      ...shared,
      fragment: { module, entryPoint: "shade_floor", targets: [{ format, blend }] },
    }),
  };
}

// Each level of the label's mip chain is written anew, smaller: sharper than averaging, and no shader of its own.
function writeLabel(device: GPUDevice, texture: GPUTexture, slot: number, title: string, small: string): void {
  for (let level = 0; level < labelLevels; level++) {
    const [width, height] = [labelSize.width >> level, labelSize.height >> level];
    const source = new OffscreenCanvas(width, height);
    const context = source.getContext("2d")!;
    context.scale(1 / 2 ** level, 1 / 2 ** level);
    if (slot === titleCell) writeTitle(context, title, small);
    else writePlate(context, title, small);
    const origin = [(slot % labelColumns) * width, Math.floor(slot / labelColumns) * height];
    device.queue.copyExternalImageToTexture({ source }, { texture, mipLevel: level, origin }, [width, height]);
  }
}

const serif = 'Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif';

function writePlate(context: OffscreenCanvasRenderingContext2D, title: string, small: string): void {
  const { width, height } = labelSize;
  context.fillStyle = "#f4f1e8";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#24221f";
  let size = 54;
  do context.font = `italic ${size--}px ${serif}`;
  while (size > 28 && context.measureText(title).width > width - 56);
  context.fillText(title, 28, 88, width - 56);
  context.fillStyle = "#6b655c";
  context.font = `31px ${serif}`;
  context.fillText(small, 28, 146, width - 56);
}

// White on black: the shader takes it as how much paint there is.
function writeTitle(context: OffscreenCanvasRenderingContext2D, title: string, small: string): void {
  context.fillStyle = "#000";
  context.fillRect(0, 0, labelSize.width, labelSize.height);
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.font = `76px ${serif}`;
  context.fillText(title, labelSize.width / 2, 92);
  context.font = `italic 26px ${serif}`;
  context.fillText(small, labelSize.width / 2, 146);
}
