//! Any bytes as a sidecar, with the checksum that they have.

use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::sidecar::{PLACE_COLUMNS, SidecarReader, SidecarWriter};

/// It is read, or refused with an error; never a batch without the columns of the place. What was read
/// comes back from what is written of it.
pub fn sidecar(data: &[u8]) {
    super::silence();
    let path = super::scratch_path("arrow");
    let stored = std::fs::File::create(&path).and_then(|mut file| file.write_all(data));
    stored.unwrap();
    let held = std::panic::catch_unwind(|| read(&path, data));
    std::fs::remove_file(&path).unwrap();
    if let Err(problem) = held {
        std::panic::resume_unwind(problem);
    }
}

fn read(path: &Path, data: &[u8]) {
    let other = hex::encode([0; 32]);
    assert!(SidecarReader::open(path, &other).is_err());
    let Ok(reader) = SidecarReader::open(path, &hex::encode(Sha256::digest(data))) else {
        return;
    };
    let columns: Vec<_> = reader.schema().fields()[PLACE_COLUMNS..].to_vec();
    let columns: Vec<_> = columns.iter().map(|field| field.as_ref().clone()).collect();
    let mut writer = SidecarWriter::new(Vec::new(), &columns, path).unwrap();
    for batch in reader {
        let Ok(batch) = batch else { return };
        assert!(batch.num_columns() >= PLACE_COLUMNS);
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
}
