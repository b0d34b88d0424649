//! CUDA graphs: work that was captured on a stream and is launched with one call.

use std::cell::Cell;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUgraphInstantiate_flags, CUgraphNodeType, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaStream, DriverError};

use super::error::{Error, Result, driver};

/// The environment variable that enables CUDA graphs: `on` or `off`.
///
/// The default is `off`, because graphs have not been tested on a card; docs/cuda.md lists the tests.
const VARIABLE: &str = "CANDLING_CUDA_GRAPHS";

/// Whether a card uses graphs, and how many it has launched.
#[derive(Debug)]
pub struct Graphs {
    enabled: Cell<bool>,
    launches: Cell<usize>,
}

/// A graph of recorded work.
pub struct Graph(CudaGraph);

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl Graphs {
    /// Reads the environment variable `CANDLING_CUDA_GRAPHS`.
    pub(crate) fn from_environment() -> Self {
        let enabled = match std::env::var(VARIABLE).as_deref() {
            Ok("on") => true,
            Ok("off" | "") | Err(_) => false,
            Ok(other) => {
                artifacts::progress::line(&format!(
                    "{VARIABLE} must be `on` or `off`, but is `{other}`; CUDA graphs are off"
                ));
                false
            }
        };
        Self { enabled: Cell::new(enabled), launches: Cell::new(0) }
    }

    /// Enables or disables recording.
    #[cfg(feature = "emulation")]
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.set(enabled);
    }

    /// Whether recording is enabled. A failure disables it.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.get()
    }

    /// The number of graph launches so far.
    #[cfg(feature = "emulation")]
    #[must_use]
    pub fn launches(&self) -> usize {
        self.launches.get()
    }

    /// Captures the work that `enqueue` enqueues on `stream`, without running it. Returns `None` if graphs are
    /// disabled.
    ///
    /// # Errors
    /// `enqueue` failed, the driver cannot capture the work, or a replay could have other results. The work has not
    /// run. Graphs are disabled after an error, so that it is not reported for every pass and shape.
    pub(crate) fn record(
        &self,
        stream: &Arc<CudaStream>,
        enqueue: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Graph>> {
        if !self.enabled.replace(false) {
            return Ok(None);
        }
        let failed = driver("record a CUDA graph");
        // If a library allocated memory during the capture and freed it later, the graph would contain a stale address.
        // This mode turns such an allocation into an error. Libraries have made their permanent allocations before,
        // because the first run of the work is not recorded.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        stream.begin_capture(mode).map_err(&failed)?;
        let enqueued = enqueue();
        // Ends the capture even after an error, because the stream runs no work until the capture ends.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).map_err(&failed);
        enqueued?;
        let Some(graph) = graph? else { return Ok(None) };
        for kind in node_types(&graph).map_err(&failed)? {
            if !is_replayable(kind) {
                return Err(Error::Driver {
                    action: "record a CUDA graph".to_owned(),
                    message: format!("it contains a node of type {kind:?}"),
                });
            }
        }
        // Allocates the graph's memory on the card, so that a lack of memory is reported here and not in a training
        // step.
        graph.upload().map_err(&failed)?;
        self.enabled.set(true);
        Ok(Some(Graph(graph)))
    }

    /// Enqueues the recorded work.
    pub(crate) fn launch(&self, Graph(graph): &Graph) -> Result<()> {
        self.launches.set(self.launches.get() + 1);
        graph.launch().map_err(driver("launch a CUDA graph"))
    }
}

/// Whether every replay of a node of this type does the same. A copy could read host memory that has been reused since
/// the recording. An allocation would have to be freed within the graph.
fn is_replayable(kind: CUgraphNodeType) -> bool {
    use CUgraphNodeType::{CU_GRAPH_NODE_TYPE_EMPTY, CU_GRAPH_NODE_TYPE_KERNEL, CU_GRAPH_NODE_TYPE_MEMSET};
    matches!(kind, CU_GRAPH_NODE_TYPE_KERNEL | CU_GRAPH_NODE_TYPE_MEMSET | CU_GRAPH_NODE_TYPE_EMPTY)
}

/// Returns the types of all nodes.
#[expect(unsafe_code, reason = "the driver is a C library")]
fn node_types(graph: &CudaGraph) -> std::result::Result<Vec<CUgraphNodeType>, DriverError> {
    let mut count = 0;
    // SAFETY: the graph is live. With a null list, the driver only writes the number of nodes.
    unsafe { sys::cuGraphGetNodes(graph.cu_graph(), std::ptr::null_mut(), &mut count) }.result()?;
    let mut nodes = vec![std::ptr::null_mut(); count];
    // SAFETY: the graph is live, and `nodes` has room for `count` nodes.
    unsafe { sys::cuGraphGetNodes(graph.cu_graph(), nodes.as_mut_ptr(), &mut count) }.result()?;
    let kind = |&node: &sys::CUgraphNode| {
        let mut kind = CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
        // SAFETY: the node belongs to a live graph.
        unsafe { sys::cuGraphNodeGetType(node, &mut kind) }.result()?;
        Ok(kind)
    };
    nodes.iter().take(count).map(kind).collect()
}
